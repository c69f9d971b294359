import type { Segment } from './segments.js';

/** Where the segments of a content are: the part of a SegmentedContent that needs no decoding. */
export interface SegmentTable {
  /** Bytes of content. */
  readonly size: number;
  readonly segmentCount: number;
  /** @throws RangeError unless `number` is in `0..segmentCount` */
  segment(number: number): Segment;
  /** Number of the segment that holds the byte `offset`. @throws RangeError outside `0..size` */
  find(offset: number): number;
}

/**
 * The segments that begin at `offsets`, ascending from 0 and without repetition; the last entry is where the content ends. It is
 * kept, not copied. No segments: `[0]`.
 */
export function segmentTable(offsets: Float64Array): SegmentTable {
  const segmentCount = offsets.length - 1;
  const size = offsets[segmentCount] ?? 0;
  return {
    size,
    segmentCount,
    segment(number) {
      const [offset, end] = [offsets[number], offsets[number + 1]];
      if (offset === undefined || end === undefined)
        throw new RangeError(`no segment ${number} of ${segmentCount}`);
      return { number, offset, size: end - offset };
    },
    find(offset) {
      if (!(offset >= 0 && offset < size))
        throw new RangeError(`offset ${offset} is outside the ${size} bytes of content`);
      return lastAtMost(offsets, offset);
    },
  };
}

/** Index of the last entry that is not above `value`, which is at least the first entry and below the last. */
function lastAtMost(offsets: Float64Array, value: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] ?? Infinity) <= value) low = middle;
    else high = middle;
  }
  return low;
}
