/** A set of bytes kept as sorted, separate ranges that merge when they touch. */
export interface RangeSet {
  add(offset: number, length: number): void;
  /** The maximal ranges of `0..size` that are not in the set, ascending. */
  gaps(size: number): Iterable<{ offset: number; length: number }>;
}

/** An empty set. Adding costs a binary search and, where ranges do not merge, moving those behind. */
export function createRangeSet(): RangeSet {
  const ranges: { start: number; end: number }[] = [];
  return {
    add(offset, length) {
      if (length > 0) insert(ranges, { start: offset, end: offset + length });
    },
    *gaps(size) {
      let at = 0;
      for (const { start, end } of [...ranges, { start: size, end: size }]) {
        if (start > at) yield { offset: at, length: start - at };
        at = Math.max(at, end);
      }
    },
  };
}

function insert(ranges: { start: number; end: number }[], added: { start: number; end: number }): void {
  const first = firstEndingAtOrAfter(ranges, added.start);
  let last = first;
  for (let range = ranges[last]; range && range.start <= added.end; range = ranges[last]) {
    added = { start: Math.min(added.start, range.start), end: Math.max(added.end, range.end) };
    last += 1;
  }
  ranges.splice(first, last - first, added);
}

function firstEndingAtOrAfter(ranges: readonly { end: number }[], offset: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ranges[middle]?.end ?? Infinity) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
