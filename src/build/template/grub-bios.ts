import { TsbuilderError } from '../../errors.js';

const SECTOR = 512;
// GRUB 2: include/grub/i386/pc/boot.h, grub-core/boot/i386/pc/{boot,diskboot}.S, util/setup.c
const KERNEL_SECTOR = 0x5c;
const DRIVE_CHECK = 0x66;
const CODE_END = 440;
const BLOCK_LIST = SECTOR - 12;
const LOAD_SEGMENT = 0x820;
const SKIP_DRIVE_CHECK = 0x9090;

/** Where GRUB's program is installed: from the second sector to here. */
const GAP_END = 1024 ** 2;

/**
 * What is written over the start of a disk with a DOS partition table, so that a BIOS starts GRUB: the code of the master boot
 * record, which ends before the table, and the program itself in the sectors behind it.
 *
 * @param boot GRUB's `boot.img`
 * @param core a `core.img` of grub-mkimage for i386-pc
 * @throws TSB_TOOL_FAILED when they are not what they should be, or the first MiB has no room
 */
export function biosBootSectors(
  boot: Buffer,
  core: Buffer,
): readonly { readonly offset: number; readonly data: Buffer }[] {
  const sectors = Math.ceil(core.length / SECTOR);
  if (boot.length !== SECTOR || boot.readUInt16LE(510) !== 0xaa55) throw wrong('boot.img is no boot sector');
  if (sectors < 2 || SECTOR + sectors * SECTOR > GAP_END)
    throw wrong(`core.img has ${core.length} bytes, and there is room for ${GAP_END - SECTOR}`);
  const code = Buffer.from(boot.subarray(0, CODE_END));
  code.writeBigUInt64LE(1n, KERNEL_SECTOR);
  // The drive that the BIOS names is right, also where it is not a hard disk's number: as grub-bios-setup does.
  code.writeUInt16LE(SKIP_DRIVE_CHECK, DRIVE_CHECK);
  const program = Buffer.alloc(sectors * SECTOR);
  core.copy(program);
  // One piece: all sectors but the first, which loads them.
  program.writeBigUInt64LE(2n, BLOCK_LIST);
  program.writeUInt16LE(sectors - 1, BLOCK_LIST + 8);
  program.writeUInt16LE(LOAD_SEGMENT, BLOCK_LIST + 10);
  return [
    { offset: 0, data: code },
    { offset: SECTOR, data: program },
  ];
}

function wrong(what: string): TsbuilderError {
  return new TsbuilderError('TSB_TOOL_FAILED', `GRUB's program for BIOS machines: ${what}`);
}
