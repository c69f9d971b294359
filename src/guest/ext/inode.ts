import type { DeviceNumber, FileType } from '../guest.js';
import { type ExtVolume, corrupt } from './volume.js';

const SPARSE_SUPER2 = 0x200;

/** An inode as it stands on the disk (kernel documentation, "Inode Table"). */
export interface ExtInode {
  readonly ino: number;
  readonly type: FileType;
  /** Permission bits with set-uid, set-gid and sticky: 0..0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly links: number;
  readonly flags: number;
  /** The 60 bytes that hold a block map, an extent root, a short link's target or inline data. */
  readonly map: Buffer;
  /** Of device files. */
  readonly device: DeviceNumber | undefined;
  /** Block with extended attributes, or 0. */
  readonly attributeBlock: number;
  /** What follows the known fields in a large inode: attributes kept in the inode. */
  readonly attributes: Buffer;
}

export const INODE_FLAG = {
  immutable: 0x10,
  appendOnly: 0x20,
  encrypted: 0x800,
  extents: 0x80000,
  verity: 0x100000,
  inlineData: 0x10000000,
} as const;

export const ROOT_INO = 2;

const TYPES: Readonly<Record<number, FileType>> = {
  1: 'fifo',
  2: 'character',
  4: 'directory',
  6: 'block',
  8: 'file',
  10: 'symlink',
  12: 'socket',
};

/**
 * Reads inode number `ino`.
 *
 * @throws TSB_FILESYSTEM when there is no such inode or it is of no known type
 */
export async function readInode(volume: ExtVolume, ino: number): Promise<ExtInode> {
  const at = await inodePlace(volume, ino);
  const raw = await volume.source.read(at, volume.super.inodeSize, volume.signal);
  return parseInode(volume, ino, Buffer.from(raw));
}

/**
 * Where inode number `ino` is, bytes from the filesystem's first.
 *
 * @throws TSB_FILESYSTEM when there is no such inode
 */
export async function inodePlace(volume: ExtVolume, ino: number): Promise<number> {
  const { inodeCount, inodesPerGroup, inodeSize, blockSize } = volume.super;
  if (!Number.isInteger(ino) || ino < 1 || ino > inodeCount) {
    throw corrupt(volume, `reference to inode ${ino} of ${inodeCount}`);
  }
  const table = await inodeTable(volume, Math.floor((ino - 1) / inodesPerGroup));
  const at = table * blockSize + ((ino - 1) % inodesPerGroup) * inodeSize;
  if (at + inodeSize > volume.super.blockCount * blockSize)
    throw corrupt(volume, `inode table of inode ${ino}`);
  return at;
}

/** Block number of the inode table of block group `group`. */
async function inodeTable(volume: ExtVolume, group: number): Promise<number> {
  const { descriptorSize } = volume.super;
  const at = descriptorPlace(volume, group);
  const raw = Buffer.from(await volume.source.read(at, descriptorSize, volume.signal));
  return raw.readUInt32LE(8) + (descriptorSize >= 64 ? raw.readUInt32LE(40) * 2 ** 32 : 0);
}

/**
 * Where the descriptor of block group `group` is, bytes from the filesystem's first.
 *
 * @throws TSB_FILESYSTEM when that is not inside the filesystem
 */
export function descriptorPlace(volume: ExtVolume, group: number): number {
  const { blockSize, descriptorSize, blockCount } = volume.super;
  const perBlock = blockSize / descriptorSize;
  const block = descriptorBlock(volume, Math.floor(group / perBlock));
  const at = block * blockSize + (group % perBlock) * descriptorSize;
  if (at + descriptorSize > blockCount * blockSize) throw corrupt(volume, `descriptor of group ${group}`);
  return at;
}

/** Where the `index`th block of group descriptors is: after the superblock, or (meta_bg) in the groups it describes. */
function descriptorBlock(volume: ExtVolume, index: number): number {
  const { firstMetaGroup, firstDataBlock, blocksPerGroup, blockSize, descriptorSize } = volume.super;
  // With clusters of blocks of 1 KiB the first data block is 0, and the superblock still in block 1.
  if (index < firstMetaGroup) return (blockSize === 1024 ? 1 : firstDataBlock) + 1 + index;
  const group = index * (blockSize / descriptorSize);
  const behindBootBlock = index === 0 && blockSize === 1024 && firstDataBlock === 0 ? 1 : 0;
  return firstDataBlock + group * blocksPerGroup + behindBootBlock + (hasSuperCopy(volume, group) ? 1 : 0);
}

/**
 * Whether a group begins with a copy of the superblock: all do, or (sparse_super) 0, 1 and powers of 3, 5 and 7, or
 * (sparse_super2) 0 and the two that the superblock names.
 */
export function hasSuperCopy(volume: ExtVolume, group: number): boolean {
  if (group === 0) return true;
  if ((volume.super.compat & SPARSE_SUPER2) !== 0) return volume.super.backupGroups.includes(group);
  const sparse = (volume.super.roCompat & 0x1) !== 0;
  if (!sparse || group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

function parseInode(volume: ExtVolume, ino: number, raw: Buffer): ExtInode {
  const mode = raw.readUInt16LE(0);
  const type = TYPES[mode >> 12];
  if (type === undefined) throw corrupt(volume, `inode ${ino} has type ${mode >> 12}`);
  const extra = raw.length >= 130 ? Math.min(raw.readUInt16LE(128), raw.length - 128) : 0;
  const size = raw.readUInt32LE(4) + raw.readUInt32LE(108) * 2 ** 32;
  if (!Number.isSafeInteger(size)) throw corrupt(volume, `inode ${ino} has size ${size}`);
  const map = raw.subarray(40, 100);
  return {
    ino,
    type,
    mode: mode & 0o7777,
    uid: raw.readUInt16LE(2) + raw.readUInt16LE(120) * 65536,
    gid: raw.readUInt16LE(24) + raw.readUInt16LE(122) * 65536,
    size,
    mtime: raw.readInt32LE(16) + (extra >= 12 ? (raw.readUInt32LE(136) & 3) * 2 ** 32 : 0),
    links: raw.readUInt16LE(26),
    flags: raw.readUInt32LE(32),
    map,
    device: type === 'character' || type === 'block' ? deviceOf(map) : undefined,
    attributeBlock: raw.readUInt32LE(104) + raw.readUInt16LE(118) * 2 ** 32,
    attributes: raw.subarray(128 + extra),
  };
}

/** The device that a special file's map names: 8 bits each in its first word, or the longer form in its second. */
function deviceOf(map: Buffer): DeviceNumber {
  const short = map.readUInt32LE(0);
  if (short !== 0) return { major: (short >> 8) & 0xff, minor: short & 0xff };
  const long = map.readUInt32LE(4);
  return { major: (long >> 8) & 0xfff, minor: (long & 0xff) | ((long >>> 12) & 0xfff00) };
}
