import { createRangeSet } from '../image/range-set.js';
import type { ByteSource } from '../io/byte-source.js';
import { type Range, endOf, partsInside } from '../probe/range.js';
import type { Progress } from '../progress.js';
import { freeNow } from '../xz/free-now.js';
import type { PackContent } from './pack-xz.js';

/** A disk of which only some ranges are read: all else is taken for zeros. */
export interface FillDisk {
  readonly disk: Pick<ByteSource, 'size' | 'read'>;
  /** The ranges that are read: ascending, apart from each other. */
  readonly ranges: readonly Range[];
}

/** Bytes read at once. */
const PIECE = 4 * 1024 * 1024;

/** `ranges` without the bytes of `without`, ascending. */
export function subtractRanges(
  size: number,
  ranges: readonly Range[],
  without: readonly Range[],
): readonly Range[] {
  const kept = createRangeSet();
  for (const { offset, length } of ranges) kept.add(offset, length);
  const left = createRangeSet();
  for (const { offset, length } of kept.gaps(size)) left.add(offset, length);
  for (const { offset, length } of without) left.add(offset, length);
  return [...left.gaps(size)];
}

/** All bytes of `ranges`. */
export function totalLength(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}

/** The content of a disk for `packXz`; what is not in its ranges is never read. Progress counts the bytes of the ranges. */
export function diskContent(
  { disk, ranges }: FillDisk,
  step: Pick<ReturnType<Progress['step']>, 'advance'>,
): PackContent {
  return {
    size: disk.size,
    async fill(offset, into, signal) {
      const parts = [...partsInside(ranges, { offset, length: into.length })];
      if (parts.length === 0) return false;
      if (totalLength(parts) < into.length) into.fill(0);
      for (const part of parts) {
        for (let at = part.offset; at < endOf(part); at += PIECE) {
          const data = await disk.read(at, Math.min(PIECE, endOf(part) - at), signal);
          into.set(data, at - offset);
          freeNow(data);
        }
      }
      return true;
    },
    onProgress: (offset, length) => step.advance(totalLength([...partsInside(ranges, { offset, length })])),
  };
}
