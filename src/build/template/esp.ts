import { lstat, mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { e2fsEnv } from '../../io/e2fs-env.js';
import { exec } from '../../io/exec.js';
import type { TemplateContext } from './context.js';
import { espGrubConfiguration } from './grub-config.js';
import { type Place, createSparse, placeFile } from './partition.js';

/**
 * The signed shim and GRUB, as the packages of Debian and Ubuntu install them. In Ubuntu's the plain name of shim is a link to the
 * latest version or the one before it.
 */
const SHIM_FOLDER = 'usr/lib/shim';
const SHIM_NAMES = ['shimx64.efi.signed', 'shimx64.efi.signed.latest'];
const GRUB = 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed';

/** Where an EFI system partition is, and the tar file of the tree that its boot loader comes from. */
interface EspRequest {
  readonly disk: string;
  readonly place: Place;
  readonly tar: string;
  /** UUID of the filesystem that has GRUB's configuration. */
  readonly root: string;
}

/** The id of the template's EFI system partition as mount(8) writes it. */
export function espId({ identity }: TemplateContext): string {
  return identity.volumeId('esp').replace(/^(.{4})/, '$1-');
}

/** Makes the EFI system partition as a file of its own and puts its data in place. */
export async function makeEsp(context: TemplateContext, request: EspRequest): Promise<void> {
  const { identity, workDir, signal } = context;
  const env = { ...e2fsEnv(), SOURCE_DATE_EPOCH: String(identity.epoch), TZ: 'UTC' };
  const esp = join(workDir, 'esp.img');
  await createSparse(esp, request.place.length);
  // --invariant fixes the time stamp, and the volume id too unless that comes after it.
  const fat = ['--invariant', '-F', '32', '-n', 'ESP', '-i', identity.volumeId('esp')];
  await exec('mkfs.vfat', [...fat, esp], { env, signal, debianPackage: 'dosfstools' });
  const mtools = { env, signal, debianPackage: 'mtools' };
  const { vendor, files } = await bootFiles(context, request);
  await exec('mmd', ['-i', esp, '::/EFI', '::/EFI/BOOT', `::/EFI/${vendor}`], mtools);
  for (const { from, to } of files) await exec('mcopy', ['-m', '-i', esp, from, `::/${to}`], mtools);
  await placeFile(context, esp, { disk: request.disk, offset: request.place.offset });
}

/**
 * The files of the EFI system partition, under the names that firmware and shim look for: the boot loader out of the tree, and the
 * configuration that it reads first, in the folder of its `vendor`.
 */
async function bootFiles(
  { identity, workDir, signal }: TemplateContext,
  { tar, root }: EspRequest,
): Promise<{ vendor: string; files: { from: string; to: string }[] }> {
  const folder = join(workDir, 'esp');
  await mkdir(folder);
  const members = [`./${SHIM_FOLDER}`, `./${GRUB}`];
  await exec('tar', ['--extract', '--file', tar, '--directory', folder, ...members], { signal });
  const shim = await firstFile(SHIM_NAMES.map((name) => join(folder, SHIM_FOLDER, name)));
  const grub = join(folder, GRUB);
  const vendor = vendorOf(await readFile(grub));
  const configuration = join(folder, 'grub.cfg');
  await writeFile(configuration, espGrubConfiguration(root));
  await utimes(configuration, identity.epoch, identity.epoch);
  return {
    vendor,
    files: [
      { from: shim, to: 'EFI/BOOT/BOOTX64.EFI' },
      { from: shim, to: `EFI/${vendor}/shimx64.efi` },
      { from: grub, to: 'EFI/BOOT/grubx64.efi' },
      { from: grub, to: `EFI/${vendor}/grubx64.efi` },
      { from: configuration, to: `EFI/${vendor}/grub.cfg` },
    ],
  };
}

/** The first of `paths` that is a file, and not a link to something outside. */
async function firstFile(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile()) return path;
  }
  throw new TsbuilderError(
    'TSB_TOOL_FAILED',
    `the packages have no ${paths.map((path) => basename(path)).join(' and no ')}`,
    {
      hint: 'The recipe must install shim-signed and grub-efi-amd64-signed for this layout.',
    },
  );
}

/**
 * The folder on the EFI system partition where a signed GRUB looks for its configuration: the only name of a folder in it.
 *
 * @throws TSB_TOOL_FAILED when it names none, or several
 */
export function vendorOf(grub: Buffer): string {
  const names = new Set(
    [...grub.toString('latin1').matchAll(/\/EFI\/([A-Za-z0-9._-]+)/g)].map(([, name = '']) => name),
  );
  const [vendor] = names;
  if (vendor !== undefined && names.size === 1) return vendor;
  const found = names.size === 0 ? 'no folder' : `several folders (${[...names].join(', ')})`;
  throw new TsbuilderError('TSB_TOOL_FAILED', `the signed GRUB names ${found} for its configuration`);
}
