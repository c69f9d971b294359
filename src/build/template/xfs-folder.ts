import { TsbuilderError } from '../../errors.js';
import type { Place } from './partition.js';
import { writeCrc } from './xfs-crc.js';
import { FORKS_AT, FORMAT_AT, LOCAL, EXTENTS, extentsOf } from './xfs-fork.js';
import type { XfsPlaces } from './xfs-superblock.js';

// "XFS Algorithms & Data Structures", chapter "Directories": version 3, with the types of files.
/** One block that has the hashes of the names too, and one of several that have not. */
const BLOCK_MAGIC = 0x58444233;
const DATA_MAGIC = 0x58444433;
const CRC_AT = 4;
const ENTRIES_AT = 64;
const HASH_LENGTH = 8;
const UNUSED = 0xffff;
/** Blocks of a folder from this place on, 32 GiB, have hashes and no names. */
const NAMES_END = 32 * 1024 ** 3;

/** Names in a folder that are to be replaced by others of the same length and hash; the old ones as text with a character a byte. */
export type Renames = ReadonlyMap<string, string>;

/**
 * Replaces names in a folder that is in its inode.
 *
 * @returns how many of them are there; 0 when the folder is in blocks of its own
 */
export function renameInInode(inode: Buffer, renames: Renames): number {
  if (inode.readUInt8(FORMAT_AT) !== LOCAL) return 0;
  const folder = inode.subarray(FORKS_AT);
  const numberLength = folder.readUInt8(1) > 0 ? 8 : 4;
  let found = 0;
  let at = 2 + numberLength;
  for (let left = folder.readUInt8(0); left > 0; left -= 1) {
    const length = folder.readUInt8(at);
    found += rename(folder.subarray(at + 3, at + 3 + length), renames);
    at += 3 + length + 1 + numberLength;
  }
  return found;
}

/** The blocks of a folder that have names; none when it is in its inode. */
export function folderBlocks(inode: Buffer, { blockSize, blockOffset }: XfsPlaces): Place[] {
  if (inode.readUInt8(FORMAT_AT) !== EXTENTS) return [];
  return extentsOf(inode)
    .filter(({ from }) => from * blockSize < NAMES_END)
    .flatMap(({ block, count }) => Array.from({ length: count }, (_, index) => block + index))
    .map((block) => ({ offset: blockOffset(block), length: blockSize }));
}

/**
 * Replaces names in a block of a folder, and makes its checksum again.
 *
 * @returns how many of them are there
 * @throws TSB_FILESYSTEM when it is no such block
 */
export function renameInBlock(block: Buffer, renames: Renames): number {
  const magic = block.readUInt32BE(0);
  if (magic !== BLOCK_MAGIC && magic !== DATA_MAGIC)
    throw new TsbuilderError('TSB_FILESYSTEM', 'mkfs.xfs made a folder of unknown form');
  const hashes = magic === BLOCK_MAGIC ? block.readUInt32BE(block.length - HASH_LENGTH) + 1 : 0;
  const end = block.length - hashes * HASH_LENGTH;
  let found = 0;
  for (let at = ENTRIES_AT; at < end;) {
    if (block.readUInt16BE(at) === UNUSED) {
      at += block.readUInt16BE(at + 2);
      continue;
    }
    const length = block.readUInt8(at + 8);
    found += rename(block.subarray(at + 9, at + 9 + length), renames);
    // After the name come its type and where the entry begins, and it ends at a multiple of 8.
    at += Math.ceil((9 + length + 3) / 8) * 8;
  }
  writeCrc(block, CRC_AT);
  return found;
}

function rename(name: Buffer, renames: Renames): 0 | 1 {
  const other = renames.get(name.toString('latin1'));
  if (other === undefined) return 0;
  name.write(other);
  return 1;
}
