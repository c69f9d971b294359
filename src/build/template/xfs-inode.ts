import { TsbuilderError } from '../../errors.js';

// Linux, fs/xfs/libxfs/xfs_format.h: fields of the superblock and of inodes (version 3), all big-endian.
const MAGIC = 0x58465342;
const INODE_MAGIC = 0x494e;
const CRC_AT = 100;
const FLAGS2_AT = 120;
const BIGTIME = 1n << 3n;
const STAMPS = { atime: 32, mtime: 40, ctime: 48, crtime: 144 } as const;
/** Times count nanoseconds from the first second of a signed 32-bit clock. */
const BIGTIME_BEGIN = 2n ** 31n;

/** Where the inodes of an XFS filesystem are. */
export interface InodeTable {
  /** Bytes of an inode. */
  readonly size: number;
  /** The root folder and the two files of the realtime section, which no folder names. */
  readonly unnamed: readonly number[];
  /** Where inode `number` is, in bytes. */
  readonly offsetOf: (number: number) => number;
}

/**
 * Reads from the superblock of a filesystem where its inodes are.
 *
 * @throws TSB_FILESYSTEM when it is no superblock
 */
export function readInodeTable(superblock: Buffer): InodeTable {
  if (superblock.readUInt32BE(0) !== MAGIC)
    throw new TsbuilderError('TSB_FILESYSTEM', 'mkfs.xfs made no superblock');
  const blockSize = superblock.readUInt32BE(4);
  const groupBlocks = superblock.readUInt32BE(84);
  const size = superblock.readUInt16BE(104);
  const perBlock = 2 ** superblock.readUInt8(123);
  const perGroup = perBlock * 2 ** superblock.readUInt8(124);
  return {
    size,
    unnamed: [56, 64, 72].map((at) => Number(superblock.readBigUInt64BE(at))),
    offsetOf: (number) => {
      const inGroup = number % perGroup;
      const block = Math.floor(number / perGroup) * groupBlocks + Math.floor(inGroup / perBlock);
      return block * blockSize + (inGroup % perBlock) * size;
    },
  };
}

/** What an inode is to tell. */
export interface InodeStamp {
  /** When the content changed, and all other times, in seconds since 1970. */
  readonly mtime: number;
  readonly epoch: number;
  readonly sticky: boolean;
}

/**
 * Gives an inode its times and its sticky bit.
 *
 * @throws TSB_FILESYSTEM when it is no inode with times of this form
 */
export function stampInode(inode: Buffer, { mtime, epoch, sticky }: InodeStamp): void {
  if (inode.readUInt16BE(0) !== INODE_MAGIC || !(inode.readBigUInt64BE(FLAGS2_AT) & BIGTIME))
    throw new TsbuilderError('TSB_FILESYSTEM', 'mkfs.xfs made an inode of unknown form');
  if (sticky) inode.writeUInt16BE(inode.readUInt16BE(2) | 0o1000, 2);
  for (const [name, at] of Object.entries(STAMPS))
    inode.writeBigUInt64BE((BigInt(name === 'mtime' ? mtime : epoch) + BIGTIME_BEGIN) * 1_000_000_000n, at);
  inode.writeUInt32LE(0, CRC_AT);
  inode.writeUInt32LE(crc32c(inode), CRC_AT);
}

/** CRC-32 of Castagnoli, as XFS uses it for its metadata. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
