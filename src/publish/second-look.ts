import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { type PackContent, type PackedFile } from '../build/pack-xz.js';
import { TsbuilderError } from '../errors.js';
import { isAllZero } from '../io/all-zero.js';
import type { ByteSource } from '../io/byte-source.js';
import { openFileSource } from '../io/file-source.js';
import type { Range } from '../probe/range.js';
import type { Progress } from '../progress.js';
import { outsideFree } from './free/outside-free.js';

const PIECE = 4 * 1024 * 1024;

/**
 * Reads a block device a second time: the time of its last change tells nothing. Passes when every block is as it was packed; a
 * change between the two looks that was taken back is not seen. A file passes unread.
 *
 * @throws TSB_CONTENT_CHANGED naming the first block that differs
 */
export async function lookAgain(
  path: string,
  content: Pick<PackContent, 'size' | 'fill'>,
  { packed, signal }: { readonly packed: PackedFile; readonly signal: AbortSignal },
): Promise<void> {
  if (!(await stat(path)).isBlockDevice()) return;
  const { blockSize, digests } = packed;
  const buffer = Buffer.allocUnsafeSlow(Math.min(blockSize, content.size));
  for (const [number, digest] of digests.entries()) {
    signal.throwIfAborted();
    const offset = number * blockSize;
    const block = buffer.subarray(0, Math.min(blockSize, content.size - offset));
    const zero = !(await content.fill(offset, block, signal)) || isAllZero(block);
    const same = digest ? !zero && createHash('sha256').update(block).digest().equals(digest) : zero;
    if (same) continue;
    throw changed(path, offset, 'packed');
  }
}

/** A raw copy of a disk in which `free` (ascending, separate) was left out. */
export interface SparseCopy {
  readonly disk: ByteSource;
  /** Path of the copy. */
  readonly copy: string;
  readonly free: readonly Range[];
}

/**
 * Reads a block device a second time, and compares it with the raw copy that was made of it. A file passes unread.
 *
 * @throws TSB_CONTENT_CHANGED naming where it differs
 */
export async function compareCopy(
  path: string,
  { disk, copy, free }: SparseCopy,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<void> {
  if (!(await stat(path)).isBlockDevice()) return;
  using step = progress.step('Reading the device again', disk.size);
  await using written = await openFileSource(copy);
  const used = outsideFree(free);
  for (let offset = 0; offset < disk.size; offset += PIECE) {
    const length = Math.min(PIECE, disk.size - offset);
    for (const part of used(offset, length)) {
      const [now, then] = await Promise.all(
        [disk, written].map((source) => source.read(part.from, part.length, signal)),
      );
      if (now && then && Buffer.compare(now, then) !== 0) throw changed(path, part.from, 'copied');
    }
    step.advance(length);
  }
}

function changed(path: string, offset: number, how: 'packed' | 'copied'): TsbuilderError {
  return new TsbuilderError(
    'TSB_CONTENT_CHANGED',
    `${path}: its bytes from ${offset} on were written to while it was ${how}`,
    { hint: 'Make sure that nothing uses the disk, then start again.' },
  );
}
