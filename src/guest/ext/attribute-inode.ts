import { blockRuns } from './block-map.js';
import { readInode } from './inode.js';
import { type ExtVolume, corrupt, readBlocks } from './volume.js';

/** The kernel's limit for an attribute's value. */
const MAX_VALUE = 65536;

/**
 * The value of an extended attribute that is kept as the content of an inode of its own (feature `ea_inode`).
 *
 * @throws TSB_FILESYSTEM when that inode is damaged or too large
 */
export async function readContentOfAttribute(volume: ExtVolume, ino: number, size: number): Promise<Buffer> {
  const inode = await readInode(volume, ino);
  if (size > MAX_VALUE || inode.size !== size) throw corrupt(volume, `attribute value in inode ${ino}`);
  const { blockSize } = volume.super;
  const count = Math.ceil(size / blockSize);
  const value = Buffer.alloc(count * blockSize);
  for await (const run of blockRuns(volume, inode, { first: 0, count })) {
    const length = Math.min(run.length, count - run.logical);
    (await readBlocks(volume, run.physical, length)).copy(value, run.logical * blockSize);
  }
  return value.subarray(0, size);
}
