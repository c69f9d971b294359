import { open } from 'node:fs/promises';
import { TsbuilderError } from '../../errors.js';
import { dataRanges } from '../../image/extents.js';
import { punchHole } from '../../io/libc.js';
import { type Range, endOf } from '../../probe/range.js';
import type { Progress } from '../../progress.js';
import { overlaps } from './outside-free.js';

/** What the filesystems of hosts give back: smaller pieces would only be overwritten with zeros. */
const BLOCK = 4096;

/**
 * Makes those of the ranges `free` holes of the raw disk `path` that are not yet. Only whole blocks of 4 KiB are: what is
 * beside them is never written. Interrupted at any moment, it leaves a disk that is as valid as before.
 *
 * @throws TSB_OUTPUT_UNUSABLE where holes cannot be made, TSB_CONTENT_CHANGED when someone else writes to the disk meanwhile
 */
export async function punchFree(
  path: string,
  free: readonly Range[],
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<void> {
  await using handle = await open(path, 'r+');
  const { size } = await handle.stat();
  const ranges = overlaps(free, [...dataRanges(handle.fd, size)])
    .map((range) => wholeBlocks(range, BLOCK))
    .filter(({ length }) => length > 0);
  using step = progress.step(
    'Freeing',
    ranges.reduce((sum, { length }) => sum + length, 0),
  );
  let before = await handle.stat({ bigint: true });
  for (const { offset, length } of ranges) {
    signal.throwIfAborted();
    const now = await handle.stat({ bigint: true });
    if (now.mtimeNs !== before.mtimeNs || now.size !== before.size) throw changed(path);
    if (!(await punchHole(handle.fd, offset, length))) throw noHoles(path);
    before = await handle.stat({ bigint: true });
    step.advance(length);
  }
}

/** The whole blocks of `size` bytes in a range: maybe none, with a length that is not positive. */
export function wholeBlocks(range: Range, size: number): Range {
  const offset = Math.ceil(range.offset / size) * size;
  return { offset, length: Math.floor(endOf(range) / size) * size - offset };
}

function changed(path: string): TsbuilderError {
  return new TsbuilderError('TSB_CONTENT_CHANGED', `${path}: was written to while it was worked on`, {
    hint: 'Make sure that nothing uses the disk, check its filesystems, then start again.',
  });
}

function noHoles(path: string): TsbuilderError {
  return new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${path}: its filesystem cannot make holes in a file`, {
    hint: 'Write a copy instead: tsbuilder sparsify DISK OUT',
  });
}
