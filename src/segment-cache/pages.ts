/** Decoded content is kept, found zero and evicted in pages of this many bytes, counted from the start of each segment. */
export const PAGE = 64 * 1024;

/** How many pages a segment of `size` bytes has; the last may be shorter. */
export function pageCount(size: number): number {
  return Math.ceil(size / PAGE);
}

/** Slices of any length regrouped, so that all but the last are whole pages. Each is valid until the next is asked for. */
export async function* inPages(slices: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let rest = Buffer.alloc(0);
  for await (const slice of slices) {
    if (rest.length === 0 && slice.length % PAGE === 0) {
      yield slice;
      continue;
    }
    const joined = Buffer.concat([rest, slice]);
    const whole = joined.length - (joined.length % PAGE);
    rest = joined.subarray(whole);
    if (whole > 0) yield joined.subarray(0, whole);
  }
  if (rest.length > 0) yield rest;
}
