import type { WritableContent } from '../build/content-target.js';
import type { DiskSource } from '../io/disk-source.js';
import { forEachParallel } from '../io/parallel.js';

/** What one job reads in order: about a block of a compressed image, so that jobs do not all wait for the same one. */
const STRETCH = 16 * 1024 * 1024;

/** What is read at once. */
const PIECE = 2 * 1024 * 1024;

interface Range {
  readonly offset: number;
  readonly length: number;
}

/**
 * A served disk as content that can be written. Where the disk is known to be zero nothing is read; what is found out while it is
 * read saves reading too.
 */
export async function streamOfDisk(
  disk: DiskSource,
  container: string,
  signal: AbortSignal,
): Promise<WritableContent> {
  const data = await dataRanges(disk, signal);
  const dataBytes = data.reduce((sum, { length }) => sum + length, 0);
  return {
    container,
    size: disk.size,
    streamedBytes: dataBytes,
    estimatedAllocation: dataBytes,
    async stream(sink, options) {
      for (const gap of gapsBetween(data, disk.size)) await sink.zero(gap.offset, gap.length);
      await forEachParallel(
        cut(data, STRETCH),
        async (stretch, inner) => {
          for (const { offset, length } of cut([stretch], PIECE)) {
            await sink.data(offset, await disk.read(offset, length, inner), inner);
            options.onProgress?.(length);
          }
        },
        options,
      );
    },
  };
}

/** The ranges of the disk that may not be zero, ascending, never touching. */
async function dataRanges(disk: DiskSource, signal: AbortSignal): Promise<Range[]> {
  const ranges: Range[] = [];
  for (let at = 0; at < disk.size;) {
    for (const { offset, length, kind } of await disk.extents(at, disk.size - at, signal)) {
      at = offset + length;
      if (kind !== 'data') continue;
      const last = ranges.at(-1);
      if (last && last.offset + last.length === offset)
        ranges[ranges.length - 1] = { ...last, length: last.length + length };
      else ranges.push({ offset, length });
    }
  }
  return ranges;
}

function* gapsBetween(ranges: readonly Range[], size: number): Iterable<Range> {
  let at = 0;
  for (const { offset, length } of [...ranges, { offset: size, length: 0 }]) {
    if (offset > at) yield { offset: at, length: offset - at };
    at = offset + length;
  }
}

/** Pieces of the ranges that end at multiples of `size`. */
function* cut(ranges: readonly Range[], size: number): Iterable<Range> {
  for (const range of ranges) {
    const end = range.offset + range.length;
    for (let at = range.offset; at < end;) {
      const length = Math.min(end - at, size - (at % size));
      yield { offset: at, length };
      at += length;
    }
  }
}
