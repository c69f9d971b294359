/** A range of bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** First byte behind a range. */
export function endOf(range: Range): number {
  return range.offset + range.length;
}

/** The parts of `ranges` (ascending, separate) that are inside of `window`, ascending. */
export function* partsInside(ranges: readonly Range[], window: Range): Iterable<Range> {
  for (let at = firstEndingAfter(ranges, window.offset); at < ranges.length; at += 1) {
    const range = ranges[at];
    if (!range || range.offset >= endOf(window)) return;
    const offset = Math.max(range.offset, window.offset);
    yield { offset, length: Math.min(endOf(range), endOf(window)) - offset };
  }
}

/** Index of the first of `ranges` (ascending, separate) that ends behind `offset`; their number when none does. */
export function firstEndingAfter(ranges: readonly Range[], offset: number): number {
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
