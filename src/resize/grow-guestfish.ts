import { constants } from 'node:fs';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type ExecResult, exec } from '../io/exec.js';
import type { GrowOptions } from './grow-ext.js';
import type { GrowStep } from './resize-plan.js';

const DEBIAN_PACKAGE = 'libguestfs-tools';

/**
 * Grows what only its own kernel driver or tools can grow (XFS, btrfs, NTFS, LVM) in one libguestfs session over the disk
 * file. Without usable KVM that takes about 15 seconds.
 *
 * @throws TSB_TOOL_MISSING when guestfish is not installed, TSB_FILESYSTEM with its message when a step fails
 */
export async function growWithGuestfish(
  disk: { readonly path: string; readonly sectorSize: number },
  steps: readonly GrowStep[],
  options: GrowOptions,
): Promise<void> {
  // A killed session leaves its sockets and overlays in here.
  const scratch = await mkdtemp(join(tmpdir(), 'tsbuilder-guestfish-'));
  try {
    const args = argumentsFor(disk, steps, options);
    const result = await runSession(args, { scratch, signal: options.signal });
    if (result.status !== 0) throw failure(steps, result);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Makes sure that guestfish is there before work begins that would be thrown away without it.
 *
 * @throws TSB_TOOL_MISSING naming the package
 */
export async function assertGuestfish(signal?: AbortSignal): Promise<void> {
  await exec('guestfish', ['--version'], { signal, debianPackage: DEBIAN_PACKAGE });
}

/** Words of a guestfish command line: commands with `:` between them, never seen by a shell. */
function argumentsFor(
  disk: { readonly path: string; readonly sectorSize: number },
  steps: readonly GrowStep[],
  options: GrowOptions,
): string[] {
  const cache = options.sync === true ? [] : ['cachemode:unsafe'];
  const blocks = disk.sectorSize === 512 ? [] : [`blocksize:${disk.sectorSize}`];
  const commands = [
    ['add-drive', disk.path, 'format:raw', ...cache, ...blocks],
    ['run'],
    ...steps.flatMap(commandsFor),
  ];
  return commands.flatMap((command, index) => (index === 0 ? command : [':', ...command]));
}

function commandsFor(step: GrowStep): string[][] {
  const device = step.partition === 0 ? '/dev/sda' : `/dev/sda${step.partition}`;
  switch (step.content) {
    case 'xfs':
      return mounted(device, ['xfs-growfs', '/']);
    case 'btrfs':
      return mounted(device, ['btrfs-filesystem-resize', '/']);
    case 'ntfs':
      return [['ntfsresize', device]];
    case 'lvm-pv':
      return [['pvresize', device], ...(step.volume ? volumeCommands(step.volume) : [])];
    case 'ext':
      return [
        ['e2fsck', device, 'correct:true'],
        ['resize2fs', device],
      ];
    case 'swap':
      return [];
  }
}

function mounted(device: string, command: string[]): string[][] {
  return [['mount', device, '/'], command, ['umount', '/']];
}

function volumeCommands({ device, content }: NonNullable<GrowStep['volume']>): string[][] {
  const step = { partition: 0, offset: 0, length: 0, oldSize: 0, name: content, content };
  const inside = commandsFor(step).map((command) =>
    command.map((word) => (word === '/dev/sda' ? device : word)),
  );
  return [['lvresize-free', device, '100'], ...inside];
}

interface Session {
  readonly scratch: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One session; where /dev/kvm is there but does not work, nothing has been changed when the launch fails, and a second
 * session emulates the processor.
 */
async function runSession(args: readonly string[], session: Session): Promise<ExecResult> {
  const settings = process.env['LIBGUESTFS_BACKEND_SETTINGS'];
  const attempts =
    settings !== undefined ? [settings] : (await hasKvm()) ? [undefined, 'force_tcg'] : ['force_tcg'];
  let result: ExecResult | undefined;
  for (const attempt of attempts) {
    result = await exec('guestfish', args, {
      signal: session.signal,
      debianPackage: DEBIAN_PACKAGE,
      okStatus: [0, 1, 2, 3],
      env: {
        LIBGUESTFS_BACKEND: process.env['LIBGUESTFS_BACKEND'] ?? 'direct',
        ...(attempt === undefined ? {} : { LIBGUESTFS_BACKEND_SETTINGS: attempt }),
        LIBGUESTFS_TMPDIR: session.scratch,
        XDG_RUNTIME_DIR: session.scratch,
      },
    });
    if (!/guestfs_launch failed|could not create appliance/.test(result.stderr)) break;
  }
  return result as ExecResult;
}

async function hasKvm(): Promise<boolean> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}

function failure(steps: readonly GrowStep[], result: ExecResult): TsbuilderError {
  const what = steps.map(
    ({ name, partition }) => `${name} on ${partition === 0 ? 'the disk' : `partition ${partition}`}`,
  );
  const launch = /guestfs_launch failed|could not create appliance/.test(result.stderr);
  return new TsbuilderError(
    'TSB_FILESYSTEM',
    `${what.join(', ')} could not be grown by guestfish: ${result.stderr
      .trim()
      .split('\n')
      .slice(0, launch ? 3 : 10)
      .join('\n')}`,
    { hint: launch ? 'libguestfs-test-tool shows why the libguestfs appliance does not start.' : undefined },
  );
}
