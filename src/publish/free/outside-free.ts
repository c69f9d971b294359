import type { RangeMap } from '../../build/disk-sink.js';
import { type Range, endOf } from '../../probe/range.js';

/** A map that leaves everything where it is and the ranges of `free` (ascending, separate) out. */
export function outsideFree(free: readonly Range[]): RangeMap {
  return function* (offset, length) {
    const end = offset + length;
    let at = offset;
    for (let index = firstEndingBehind(free, offset); at < end; index += 1) {
      const next = free[index];
      const stop = Math.min(end, next?.offset ?? end);
      if (stop > at) yield { from: at, to: at, length: stop - at };
      at = next ? Math.max(at, endOf(next)) : end;
    }
  };
}

/** The bytes that are in both lists of ranges, each ascending and separate. */
export function overlaps(one: readonly Range[], other: readonly Range[]): Range[] {
  return one.flatMap((range) => {
    const found: Range[] = [];
    for (let index = firstEndingBehind(other, range.offset); index < other.length; index += 1) {
      const next = other[index];
      if (!next || next.offset >= endOf(range)) break;
      const start = Math.max(range.offset, next.offset);
      found.push({ offset: start, length: Math.min(endOf(range), endOf(next)) - start });
    }
    return found;
  });
}

function firstEndingBehind(ranges: readonly Range[], offset: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range && endOf(range) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
