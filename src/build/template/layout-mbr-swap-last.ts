import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../io/exec.js';
import type { TemplateContext } from './context.js';
import { biosBootSectors } from './grub-bios.js';
import { grubConfiguration } from './grub-config.js';
import type { Layout } from './layout.js';
import { type Place, assertFits, createDisk, partitionLine, writePieces } from './partition.js';
import { ext4Root } from './root-ext4.js';
import { rootUuid } from './root-volume.js';
import { swapHeader } from './swap-header.js';
import { textFile } from './text-file.js';

const MIB = 1024 ** 2;
const BOOT_IMAGE = 'boot/grub/i386-pc/boot.img';
const CORE_IMAGE = 'boot/grub/i386-pc/core.img';

/** What GRUB can do before it has read a module from the disk: all that the first configuration needs. */
const MODULES = 'biosdisk part_msdos ext2 normal configfile search search_fs_uuid linux serial terminal echo';

/**
 * As Debian's installer divides a disk for BIOS machines by itself: a DOS partition table with the root filesystem first, and the swap
 * area behind it, in an extended partition. To grow the root, the swap area must move.
 */
export const mbrSwapLast: Layout = {
  expand: '/dev/sda1',
  // The tree has the same version of the program and of the modules that it puts together.
  script: [
    'mkdir -p /boot/grub/i386-pc',
    'cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst /usr/lib/grub/i386-pc/boot.img /boot/grub/i386-pc/',
    `grub-mkimage -O i386-pc -p '(,msdos1)/boot/grub' -o /${CORE_IMAGE} ${MODULES}`,
  ].join('\n'),
  files(context) {
    const device = ext4Root.device(context);
    return [
      textFile('/etc/fstab', [`${device} / ${ext4Root.mount}`, `UUID=${swapUuid(context)} none swap sw 0 0`]),
      grubConfiguration({
        title: context.recipe.fullName,
        root: rootUuid(context),
        kernelArguments: [`root=${device}`, 'ro', ...context.recipe.kernelArguments],
      }),
    ];
  },
  async makeDisk(context, disk, tar) {
    const { root, extended, swap } = planMbrSwapLast(context.recipe.size);
    assertFits(context, root, ext4Root.smallest);
    await createDisk(context, disk, [
      'label: dos',
      `label-id: 0x${context.identity.volumeId('disk')}`,
      partitionLine(root, 'type=83, bootable'),
      partitionLine(extended, 'type=5'),
      partitionLine(swap, 'type=82'),
    ]);
    await ext4Root.make(context, { disk, ...root }, tar);
    await writePieces(disk, [
      ...(await bootSectors(context, tar)),
      { offset: swap.offset, data: swapHeader(swap.length, swapUuid(context)) },
    ]);
  },
};

/** Where the partitions of a disk of `size` bytes are: an eighth of it, at most 1 GiB, is for swapping. */
export function planMbrSwapLast(size: number): { root: Place; extended: Place; swap: Place } {
  const whole = Math.floor(size / MIB) * MIB;
  const length = Math.min(1024 * MIB, Math.floor(whole / 8 / MIB) * MIB);
  const swap = { offset: whole - length, length };
  // A logical partition is announced by a record in front of it.
  const extended = { offset: swap.offset - MIB, length: length + MIB };
  return { root: { offset: MIB, length: extended.offset - MIB }, extended, swap };
}

function swapUuid({ identity }: TemplateContext): string {
  return identity.uuid('swap');
}

async function bootSectors(
  { workDir, signal }: TemplateContext,
  tar: string,
): Promise<ReturnType<typeof biosBootSectors>> {
  const members = [`./${BOOT_IMAGE}`, `./${CORE_IMAGE}`];
  await exec('tar', ['--extract', '--file', tar, '--directory', workDir, ...members], { signal });
  return biosBootSectors(
    await readFile(join(workDir, BOOT_IMAGE)),
    await readFile(join(workDir, CORE_IMAGE)),
  );
}
