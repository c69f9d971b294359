import { TsbuilderError } from '../../errors.js';
import { blockRuns } from './block-map.js';
import { type ExtInode, INODE_FLAG } from './inode.js';
import { type ExtVolume, readBlocks } from './volume.js';
import { inlineTail } from './xattr.js';

/**
 * `length` bytes of `inode` from `offset`, fewer where the file ends.
 *
 * @throws TSB_FILESYSTEM when its structures are damaged, TSB_GUEST when it is encrypted
 */
export async function readContent(
  volume: ExtVolume,
  inode: ExtInode,
  range: { offset: number; length: number },
): Promise<Buffer> {
  if (inode.flags & INODE_FLAG.encrypted) {
    throw new TsbuilderError(
      'TSB_GUEST',
      `${volume.source.name}: inode ${inode.ino} is encrypted and cannot be read`,
    );
  }
  const end = Math.min(inode.size, range.offset + range.length);
  if (end <= range.offset) return Buffer.alloc(0);
  if (isInline(inode)) return (await inlineContent(volume, inode)).subarray(range.offset, end);
  return readMapped(volume, inode, { offset: range.offset, end });
}

/** Whether the content is kept in the inode: a short symbolic link, or a file with inline data. */
export function isInline(inode: ExtInode): boolean {
  if (inode.flags & INODE_FLAG.inlineData) return true;
  return inode.type === 'symlink' && inode.size < inode.map.length && !(inode.flags & INODE_FLAG.extents);
}

async function inlineContent(volume: ExtVolume, inode: ExtInode): Promise<Buffer> {
  if (!(inode.flags & INODE_FLAG.inlineData)) return inode.map.subarray(0, inode.size);
  const content = Buffer.alloc(Math.min(inode.size, inode.map.length + volume.super.blockSize));
  const tail = await inlineTail(volume, inode);
  inode.map.copy(content);
  tail.copy(content, inode.map.length);
  return content;
}

async function readMapped(
  volume: ExtVolume,
  inode: ExtInode,
  range: { offset: number; end: number },
): Promise<Buffer> {
  const { blockSize } = volume.super;
  const first = Math.floor(range.offset / blockSize);
  const count = Math.ceil(range.end / blockSize) - first;
  const content = Buffer.alloc(count * blockSize);
  for await (const run of blockRuns(volume, inode, { first, count })) {
    const from = Math.max(run.logical, first);
    const to = Math.min(run.logical + run.length, first + count);
    const data = await readBlocks(volume, run.physical + (from - run.logical), to - from);
    data.copy(content, (from - first) * blockSize);
  }
  return content.subarray(range.offset - first * blockSize, range.end - first * blockSize);
}
