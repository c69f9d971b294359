import { type FileHandle, open } from 'node:fs/promises';
import { isAllZero } from '../../io/all-zero.js';
import { readFully } from '../../io/file-source.js';
import { type BlockSpan, freeSpans } from './block-bitmap.js';
import { blockRuns } from './block-map.js';
import { isInline } from './content.js';
import type { ExtTarget } from './e2fs-run.js';
import { inodePlace, readInode } from './inode.js';
import { type ExtVolume, corrupt, readBlock } from './volume.js';

/** Places where content of scrubbed files is. */
export interface Remains {
  /** Data blocks, to be overwritten where they are free after the commit. */
  readonly blocks: readonly BlockSpan[];
  /** The inodes themselves, which can hold short content, bytes from the filesystem's first. */
  readonly inodes: readonly { readonly offset: number; readonly length: number }[];
  /** The journal's old entries, which can hold copies of both. */
  readonly journal: readonly BlockSpan[];
}

const WHOLE_FILE = { first: 0, count: 2 ** 32 };
const PIECE = 1024 * 1024;
const JOURNAL_MAGIC = 0xc03b3998;

/**
 * Finds where the files with these inode numbers keep their content, before they are freed.
 *
 * @throws TSB_FILESYSTEM when their block maps are damaged
 */
export async function findRemains(volume: ExtVolume, inos: readonly number[]): Promise<Remains> {
  const { inodeSize } = volume.super;
  const blocks: BlockSpan[] = [];
  const inodes: { offset: number; length: number }[] = [];
  for (const ino of inos) {
    blocks.push(...(await fileSpans(volume, ino)));
    inodes.push({ offset: await inodePlace(volume, ino), length: inodeSize });
  }
  return { blocks, inodes, journal: inos.length > 0 ? await journalSpans(volume) : [] };
}

async function fileSpans(volume: ExtVolume, ino: number): Promise<BlockSpan[]> {
  const inode = await readInode(volume, ino);
  if (isInline(inode)) return [];
  const spans: BlockSpan[] = [];
  let total = 0;
  for await (const { physical, length } of blockRuns(volume, inode, WHOLE_FILE)) {
    total += length;
    if (total > volume.super.blockCount) throw corrupt(volume, `inode ${ino} has ${total} blocks and more`);
    spans.push({ physical, length });
  }
  return spans;
}

/**
 * The blocks of an empty journal but its first, which describes it (kernel documentation, "Journal (jbd2)"). A journal
 * on another device, or one that is in use, has none.
 */
async function journalSpans(volume: ExtVolume): Promise<BlockSpan[]> {
  const { journalInode } = volume.super;
  if (journalInode === 0) return [];
  const spans = await fileSpans(volume, journalInode);
  const [first] = spans;
  if (!first) return [];
  const head = await readBlock(volume, first.physical);
  if (head.readUInt32BE(0) !== JOURNAL_MAGIC || head.readUInt32BE(28) !== 0) return [];
  return [{ physical: first.physical + 1, length: first.length - 1 }, ...spans.slice(1)];
}

/**
 * Overwrites with zeros what scrubbed files left behind. Call after the commit: `volume` is the filesystem as it is now.
 * Blocks that are in use are left alone, whatever the block map of the scrubbed file claimed.
 *
 * @throws the error of the disk when it cannot be written
 */
export async function eraseRemains(target: ExtTarget, volume: ExtVolume, remains: Remains): Promise<void> {
  if (remains.inodes.length === 0) return;
  const { blockSize } = volume.super;
  const spans = [...(await freeSpans(volume, remains.blocks)), ...remains.journal];
  const ranges = spans.map((span) => ({
    offset: span.physical * blockSize,
    length: span.length * blockSize,
  }));
  await using handle = await open(target.diskPath, 'r+');
  for (const { offset, length } of [...ranges, ...remains.inodes]) {
    for (let at = 0; at < length; at += PIECE) {
      await eraseRange(target, handle, { offset: offset + at, length: Math.min(PIECE, length - at) });
    }
  }
  if (target.sync) await handle.datasync();
}

/** What is zero already is not written: it may be a hole, which must not take up room. */
async function eraseRange(
  target: ExtTarget,
  handle: FileHandle,
  range: { offset: number; length: number },
): Promise<void> {
  const offset = target.offset + range.offset;
  const data = Buffer.alloc(range.length);
  await readFully(target.diskPath, handle, { data, offset });
  if (isAllZero(data)) return;
  data.fill(0);
  for (let done = 0; done < data.length;) {
    done += (await handle.write(data, done, data.length - done, offset + done)).bytesWritten;
  }
}
