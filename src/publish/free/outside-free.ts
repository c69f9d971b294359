import type { RangeMap } from '../../build/disk-sink.js';
import { type Range, endOf, firstEndingAfter, partsInside } from '../../probe/range.js';

/** A map that leaves everything where it is and the ranges of `free` (ascending, separate) out. */
export function outsideFree(free: readonly Range[]): RangeMap {
  return function* (offset, length) {
    const end = offset + length;
    let at = offset;
    for (let index = firstEndingAfter(free, offset); at < end; index += 1) {
      const next = free[index];
      const stop = Math.min(end, next?.offset ?? end);
      if (stop > at) yield { from: at, to: at, length: stop - at };
      at = next ? Math.max(at, endOf(next)) : end;
    }
  };
}

/** The bytes that are in both lists of ranges, each ascending and separate. */
export function overlaps(one: readonly Range[], other: readonly Range[]): Range[] {
  return one.flatMap((range) => [...partsInside(other, range)]);
}
