import { constants } from 'node:fs';
import { access, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { TsbuilderError } from '../errors.js';
import { exec } from './exec.js';
import { makeTemporaryFolder } from './temporary-folder.js';

/** The Debian package that has guestfish. */
export const GUESTFISH_PACKAGE = 'libguestfs-tools';

/**
 * Folders that guestfish can make its sockets in: a socket's path can have 107 bytes, of which it needs about 45, and what
 * has a meaning in QEMU's options is not escaped.
 */
const USABLE_FOLDER = /^[A-Za-z0-9_./+-]{1,60}$/;

/** A folder for everything that a guestfish session makes: a killed session leaves its sockets and overlays there. */
export interface GuestfishFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes a {@link GuestfishFolder}; disposing it removes it with all that is in it. */
export async function openGuestfishFolder(): Promise<GuestfishFolder> {
  const parent = USABLE_FOLDER.test(tmpdir()) ? tmpdir() : '/tmp';
  const path = await makeTemporaryFolder('tsbuilder-guestfish-', parent);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Makes sure that guestfish is there before work begins that would be thrown away without it. `purpose` says what needs
 * it: "--install".
 *
 * @throws TSB_TOOL_MISSING naming the package and the purpose
 */
export async function assertGuestfish(purpose: string, signal?: AbortSignal): Promise<void> {
  try {
    await exec('guestfish', ['--version'], { signal, debianPackage: GUESTFISH_PACKAGE });
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_TOOL_MISSING') throw error;
    throw new TsbuilderError('TSB_TOOL_MISSING', `${purpose} needs libguestfs: ${error.message}`, {
      hint: error.hint,
      cause: error,
    });
  }
}

/**
 * The environments in which to try to launch an appliance, one after the other: where /dev/kvm is there but does not work,
 * the first launch fails with nothing changed, and the second emulates the processor. What the user has set stands.
 */
export async function guestfishEnvironments(folder: string): Promise<Record<string, string>[]> {
  const settings = process.env['LIBGUESTFS_BACKEND_SETTINGS'];
  const attempts =
    settings !== undefined ? [settings] : (await hasKvm()) ? [undefined, 'force_tcg'] : ['force_tcg'];
  return attempts.map((attempt) => ({
    LIBGUESTFS_BACKEND: process.env['LIBGUESTFS_BACKEND'] ?? 'direct',
    ...(attempt === undefined ? {} : { LIBGUESTFS_BACKEND_SETTINGS: attempt }),
    LIBGUESTFS_TMPDIR: folder,
    XDG_RUNTIME_DIR: folder,
  }));
}

/** Whether this standard error of guestfish says that the appliance did not start. */
export function isLaunchFailure(stderr: string): boolean {
  return /guestfs_launch failed|could not create appliance/.test(stderr);
}

/** The words of guestfish's `add-drive` that tell the sector size of a disk, in bytes: 512 needs none. */
export function sectorSizeOption(sectorSize: number): string[] {
  return sectorSize === 512 ? [] : [`blocksize:${sectorSize}`];
}

/** The next step where {@link isLaunchFailure}. libguestfs-tools does not bring the kernel along, and Ubuntu's is readable for root only. */
export const LAUNCH_HINT =
  'libguestfs-test-tool shows why. It needs a kernel in /boot that you may read: apt-get install linux-image-cloud-amd64';

async function hasKvm(): Promise<boolean> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}
