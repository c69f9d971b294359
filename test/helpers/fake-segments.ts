import type { SegmentedContent } from '../../src/io/segments.js';

/** What a fake content does, to be changed while it is in use. */
export interface FakeSegmentsOptions {
  readonly data: Buffer;
  readonly segmentSize: number;
  readonly sliceSize: number;
  /** Awaited before each slice; may throw. */
  before?: (segment: number, from: number) => Promise<void> | void;
  /** Throws where the integrity check of a segment stands, before its last slice. */
  check?: (segment: number) => void;
  isZero?: (segment: number) => Promise<boolean>;
}

/** What a fake content has seen. */
export interface FakeSegments extends SegmentedContent {
  /** Numbers of the segments whose decoding began, in order. */
  readonly begun: number[];
  /** Decodings under way now, and most at once that were at work (not merely open). */
  readonly open: () => number;
  readonly mostAtWork: () => number;
  readonly disposed: () => boolean;
}

/** Segments of one size over `data`, "decoded" in slices. */
export function fakeSegments(options: FakeSegmentsOptions): FakeSegments {
  const { data, segmentSize, sliceSize } = options;
  const begun: number[] = [];
  let open = 0;
  let atWork = 0;
  let most = 0;
  let disposed = false;
  const work = async (number: number, from: number, signal: AbortSignal | undefined): Promise<void> => {
    most = Math.max(most, ++atWork);
    try {
      await new Promise((resolve) => setImmediate(resolve));
      await options.before?.(number, from);
      signal?.throwIfAborted();
    } finally {
      atWork -= 1;
    }
  };
  const content: FakeSegments = {
    name: 'fake',
    size: data.length,
    segmentCount: Math.ceil(data.length / segmentSize),
    segment(number) {
      const offset = number * segmentSize;
      if (!(number >= 0 && offset < data.length)) throw new RangeError(`no segment ${number}`);
      return { number, offset, size: Math.min(segmentSize, data.length - offset) };
    },
    find(offset) {
      if (!(offset >= 0 && offset < data.length)) throw new RangeError(`outside: ${offset}`);
      return Math.floor(offset / segmentSize);
    },
    async *decode(number, { signal }) {
      begun.push(number);
      open += 1;
      const slice = Buffer.alloc(sliceSize);
      const { offset, size } = content.segment(number);
      try {
        for (let from = 0; from < size; from += sliceSize) {
          slice.fill(0xee);
          await work(number, from, signal);
          if (from + sliceSize >= size) options.check?.(number);
          const length = data.copy(slice, 0, offset + from, offset + Math.min(size, from + sliceSize));
          yield slice.subarray(0, length);
        }
      } finally {
        open -= 1;
      }
    },
    isZero: (number) => options.isZero?.(number) ?? Promise.resolve(false),
    [Symbol.asyncDispose]() {
      disposed = true;
      return Promise.resolve();
    },
    begun,
    open: () => open,
    mostAtWork: () => most,
    disposed: () => disposed,
  };
  return content;
}
