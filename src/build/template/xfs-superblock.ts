import { TsbuilderError } from '../../errors.js';
import type { Place } from './partition.js';
import { writeCrc } from './xfs-crc.js';

// Linux, fs/xfs/libxfs/xfs_format.h: fields of the superblock, all big-endian but its checksum.
const MAGIC = 0x58465342;
const VERSION_AT = 100;
const ATTRIBUTES = 0x10;
const CRC_AT = 224;

/** Bytes of a superblock: it has a sector of its own, and the layout's have so many. */
export const SUPERBLOCK_LENGTH = 512;

/** Where things are in an XFS filesystem. */
export interface XfsPlaces {
  /** The inode of the root folder. */
  readonly root: number;
  /** The two inodes of the realtime section, which no folder names. */
  readonly realtime: readonly number[];
  readonly blockSize: number;
  /** Where a block is, in bytes: the upper bits of its number tell the group. */
  readonly blockOffset: (block: number) => number;
  /** Where inode `number` is. */
  readonly inode: (number: number) => Place;
  /** Where each group's copy of the superblock is, in bytes; the first is the superblock. */
  readonly superblocks: readonly number[];
}

/**
 * Reads from the superblock of a filesystem where its inodes are, and the copies of the superblock.
 *
 * @throws TSB_FILESYSTEM when it is no superblock
 */
export function readPlaces(superblock: Buffer): XfsPlaces {
  assertSuperblock(superblock);
  const blockSize = superblock.readUInt32BE(4);
  const groupBlocks = superblock.readUInt32BE(84);
  const groups = superblock.readUInt32BE(88);
  const inodeSize = superblock.readUInt16BE(104);
  const perBlock = 2 ** superblock.readUInt8(123);
  const blocksPerGroup = 2 ** superblock.readUInt8(124);
  const blockOffset = (block: number): number =>
    (Math.floor(block / blocksPerGroup) * groupBlocks + (block % blocksPerGroup)) * blockSize;
  return {
    root: Number(superblock.readBigUInt64BE(56)),
    realtime: [64, 72].map((at) => Number(superblock.readBigUInt64BE(at))),
    blockSize,
    blockOffset,
    inode: (number) => ({
      offset: blockOffset(Math.floor(number / perBlock)) + (number % perBlock) * inodeSize,
      length: inodeSize,
    }),
    superblocks: Array.from({ length: groups }, (_, group) => group * groupBlocks * blockSize),
  };
}

/**
 * Notes in a superblock that there are extended attributes, as Linux does when it makes the first one.
 *
 * @throws TSB_FILESYSTEM when it is no superblock
 */
export function allowAttributes(superblock: Buffer): void {
  assertSuperblock(superblock);
  superblock.writeUInt16BE(superblock.readUInt16BE(VERSION_AT) | ATTRIBUTES, VERSION_AT);
  writeCrc(superblock, CRC_AT);
}

function assertSuperblock(data: Buffer): void {
  if (data.readUInt32BE(0) !== MAGIC)
    throw new TsbuilderError('TSB_FILESYSTEM', 'mkfs.xfs made no superblock');
}
