import { mkdir, open, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { e2fsEnv } from '../io/e2fs-env.js';
import { exec } from '../io/exec.js';
import type { TemplateContext } from './template-context.js';
import { makeExt4 } from './template-ext4.js';
import type { Layout } from './template-layout.js';
import type { RecipeFile } from './template-schema.js';
import { textFile } from './template-tree.js';

const MIB = 1024 ** 2;
const ESP = { offset: MIB, length: 128 * MIB };
const ROOT_OFFSET = ESP.offset + ESP.length;
/** Partition types: UEFI specification 5.3.3; Discoverable Partitions Specification for the root. */
const ESP_TYPE = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';
const ROOT_X86_64_TYPE = '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709';

/** Debian's signed boot loader, as its packages install it, and the names that firmware and shim look for. */
const LOADERS = [
  { from: 'usr/lib/shim/shimx64.efi.signed', to: ['EFI/BOOT/BOOTX64.EFI', 'EFI/debian/shimx64.efi'] },
  {
    from: 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed',
    to: ['EFI/BOOT/grubx64.efi', 'EFI/debian/grubx64.efi'],
  },
] as const;

/**
 * GPT with an EFI system partition and an ext4 root that is last, so that growing it moves nothing. UEFI firmware
 * starts shim from the removable-media path, shim starts GRUB, and GRUB finds its configuration on the root.
 */
export const gptUefi: Layout = {
  expand: '/dev/sda2',
  files,
  async makeDisk(context, disk, tar) {
    await createSparse(disk, context.recipe.size);
    await partition(context, disk);
    await makeExt4(context, { disk, ...rootPartition(context), label: 'root', uuid: rootUuid(context) }, tar);
    await makeEsp(context, disk, tar);
  },
};

function rootPartition(context: TemplateContext): { offset: number; length: number } {
  // The backup table needs 33 sectors at the end; a whole MiB keeps the end aligned.
  return { offset: ROOT_OFFSET, length: context.recipe.size - ROOT_OFFSET - MIB };
}

const rootUuid = (context: TemplateContext): string => context.identity.uuid('root filesystem');

function files(context: TemplateContext): RecipeFile[] {
  const { identity, recipe } = context;
  const root = rootUuid(context);
  const volumeId = identity.volumeId('esp').replace(/^(.{4})/, '$1-');
  return [
    textFile('/etc/fstab', [
      `UUID=${root} / ext4 errors=remount-ro 0 1`,
      `UUID=${volumeId} /boot/efi vfat umask=0077 0 1`,
    ]),
    textFile('/boot/efi/.mountpoint', ['The EFI system partition is mounted over this.']),
    // Serves until the guest's own update-grub replaces it, at the first update of a kernel.
    textFile('/boot/grub/grub.cfg', [
      'set timeout=1',
      'serial --unit=0 --speed=115200',
      'terminal_input console serial',
      'terminal_output console serial',
      `search --no-floppy --fs-uuid --set=root ${root}`,
      `menuentry '${recipe.fullName.replaceAll("'", '')}' {`,
      `  linux /vmlinuz ${[`root=UUID=${root}`, 'ro', ...recipe.kernelArguments].join(' ')}`,
      '  initrd /initrd.img',
      '}',
    ]),
  ];
}

async function createSparse(path: string, size: number): Promise<void> {
  await using handle = await open(path, 'wx');
  await handle.truncate(size);
}

async function partition(context: TemplateContext, disk: string): Promise<void> {
  const { identity, recipe, signal } = context;
  if (recipe.arch !== 'x86_64') {
    throw new TsbuilderError(
      'TSB_RECIPE_INVALID',
      `${recipe.path}: layout gpt-uefi cannot be made for ${recipe.arch}`,
    );
  }
  const root = rootPartition(context);
  if (root.length < 64 * MIB) {
    throw new TsbuilderError('TSB_RECIPE_INVALID', `${recipe.path}: ${recipe.size} bytes are too few`);
  }
  const entry = (at: { offset: number; length: number }, rest: string): string =>
    `start=${at.offset / 512}, size=${at.length / 512}, ${rest}`;
  const script = [
    'label: gpt',
    `label-id: ${identity.uuid('disk')}`,
    'unit: sectors',
    entry(ESP, `type=${ESP_TYPE}, uuid=${identity.uuid('esp partition')}, name=esp`),
    entry(root, `type=${ROOT_X86_64_TYPE}, uuid=${identity.uuid('root partition')}, name=root`),
  ];
  await exec('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', disk], {
    input: `${script.join('\n')}\n`,
    env: e2fsEnv(),
    signal,
    debianPackage: 'fdisk',
  });
}

/** Makes the EFI system partition as a file of its own and puts its data in place. */
async function makeEsp(context: TemplateContext, disk: string, tar: string): Promise<void> {
  const { identity, workDir, signal } = context;
  const env = { ...e2fsEnv(), SOURCE_DATE_EPOCH: String(identity.epoch), TZ: 'UTC' };
  const esp = join(workDir, 'esp.img');
  await createSparse(esp, ESP.length);
  // --invariant fixes the time stamp, and the volume id too unless that comes after it.
  const fat = ['--invariant', '-F', '32', '-n', 'ESP', '-i', identity.volumeId('esp')];
  await exec('mkfs.vfat', [...fat, esp], { env, signal, debianPackage: 'dosfstools' });
  const mtools = { env, signal, debianPackage: 'mtools' };
  await exec('mmd', ['-i', esp, '::/EFI', '::/EFI/BOOT', '::/EFI/debian'], mtools);
  for (const { from, to } of await loaderFiles(context, tar))
    await exec('mcopy', ['-m', '-i', esp, from, `::/${to}`], mtools);
  await exec(
    'dd',
    [
      ...[
        `if=${esp}`,
        `of=${disk}`,
        `seek=${ESP.offset / MIB}`,
        'bs=1M',
        'conv=notrunc,sparse',
        'status=none',
      ],
    ],
    { signal },
  );
}

/** The files of the EFI system partition: the boot loader out of the tree, and the configuration that it reads first. */
async function loaderFiles(context: TemplateContext, tar: string): Promise<{ from: string; to: string }[]> {
  const { identity, workDir, signal } = context;
  const folder = join(workDir, 'esp');
  await mkdir(folder);
  const members = LOADERS.map(({ from }) => `./${from}`);
  await exec('tar', ['--extract', '--file', tar, '--directory', folder, ...members], { signal });
  const configuration = join(folder, 'grub.cfg');
  await writeFile(configuration, espGrubConfiguration(rootUuid(context)));
  await utimes(configuration, identity.epoch, identity.epoch);
  return [
    ...LOADERS.flatMap(({ from, to }) => to.map((name) => ({ from: join(folder, from), to: name }))),
    { from: configuration, to: 'EFI/debian/grub.cfg' },
  ];
}

/** What the signed GRUB reads first: it only points to the configuration on the root filesystem. */
function espGrubConfiguration(root: string): string {
  return [
    `search.fs_uuid ${root} root`,
    'set prefix=($root)/boot/grub',
    'configfile $prefix/grub.cfg',
    '',
  ].join('\n');
}
