import type { ByteSource } from '../io/byte-source.js';
import type { SegmentedContent } from '../io/segments.js';

/** Small enough for a first read over a network, large enough for sequential ones. */
const PIECE = 256 * 1024;

/** Plain bytes as segments of 256 KiB: what is far away and not compressed goes through the same cache as what is. Disposes `source`. */
export function flatSegments(source: ByteSource): SegmentedContent {
  const segmentCount = Math.ceil(source.size / PIECE);
  const segment: SegmentedContent['segment'] = (number) => {
    if (!(number >= 0 && number < segmentCount))
      throw new RangeError(`no segment ${number} of ${segmentCount}`);
    const offset = number * PIECE;
    return { number, offset, size: Math.min(PIECE, source.size - offset) };
  };
  return {
    name: source.name,
    size: source.size,
    segmentCount,
    segment,
    find(offset) {
      if (!(offset >= 0 && offset < source.size))
        throw new RangeError(`offset ${offset} is outside the ${source.size} bytes of ${source.name}`);
      return Math.floor(offset / PIECE);
    },
    async *decode(number, { signal }) {
      const { offset, size } = segment(number);
      yield await source.read(offset, size, signal);
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}
