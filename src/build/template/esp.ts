import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { e2fsEnv } from '../../io/e2fs-env.js';
import { exec } from '../../io/exec.js';
import type { TemplateContext } from './context.js';
import { espGrubConfiguration } from './grub-config.js';
import { type Place, createSparse, placeFile } from './partition.js';

/** Debian's signed boot loader, as its packages install it, and the names that firmware and shim look for. */
const LOADERS = [
  { from: 'usr/lib/shim/shimx64.efi.signed', to: ['EFI/BOOT/BOOTX64.EFI', 'EFI/debian/shimx64.efi'] },
  {
    from: 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed',
    to: ['EFI/BOOT/grubx64.efi', 'EFI/debian/grubx64.efi'],
  },
] as const;

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
  await exec('mmd', ['-i', esp, '::/EFI', '::/EFI/BOOT', '::/EFI/debian'], mtools);
  for (const { from, to } of await loaderFiles(context, request))
    await exec('mcopy', ['-m', '-i', esp, from, `::/${to}`], mtools);
  await placeFile(context, esp, { disk: request.disk, offset: request.place.offset });
}

/** The files of the EFI system partition: the boot loader out of the tree, and the configuration that it reads first. */
async function loaderFiles(
  { identity, workDir, signal }: TemplateContext,
  { tar, root }: EspRequest,
): Promise<{ from: string; to: string }[]> {
  const folder = join(workDir, 'esp');
  await mkdir(folder);
  const members = LOADERS.map(({ from }) => `./${from}`);
  await exec('tar', ['--extract', '--file', tar, '--directory', folder, ...members], { signal });
  const configuration = join(folder, 'grub.cfg');
  await writeFile(configuration, espGrubConfiguration(root));
  await utimes(configuration, identity.epoch, identity.epoch);
  return [
    ...LOADERS.flatMap(({ from, to }) => to.map((name) => ({ from: join(folder, from), to: name }))),
    { from: configuration, to: 'EFI/debian/grub.cfg' },
  ];
}
