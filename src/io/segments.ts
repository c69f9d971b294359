/**
 * Content made of segments that can be decoded one without the other: the blocks of an xz file, the frames of a zstd file, the
 * stretches between the seek points of a gzip file. They follow each other without gaps; none is empty.
 */
export interface SegmentedContent extends AsyncDisposable {
  /** Path or redacted URL, for messages. */
  readonly name: string;
  /** Bytes of decoded content. */
  readonly size: number;
  readonly segmentCount: number;
  /** @throws RangeError unless `number` is in `0..segmentCount` */
  segment(number: number): Segment;
  /** Number of the segment that holds the content's byte `offset`. @throws RangeError outside `0..size` */
  find(offset: number): number;
  /**
   * Decodes a segment from its start. Slices of at most 1 MiB, in order, each valid only until the next is asked for; the last one
   * comes only when the segment's integrity check was right. Ending the iteration early frees everything.
   *
   * @throws what reading and decoding throw, the message naming the segment (`block 12 at ...`)
   */
  decode(number: number, options: DecodeSegmentOptions): AsyncGenerator<Uint8Array, void>;
  /**
   * A hint that `decode(number)` will come soon: what it must fetch may be fetched now. Returns at once and never throws. Absent where
   * nothing can be fetched in advance.
   */
  prepare?(number: number): void;
  /**
   * Whether a segment is known, or can be found by reading next to nothing, to be zero throughout. `false`: it may be anything. Never
   * throws for damaged data. Absent where it cannot be told.
   */
  isZero?(number: number, signal?: AbortSignal): Promise<boolean>;
}

/** A place in the decoded content, in bytes. */
export interface Segment {
  readonly number: number;
  readonly offset: number;
  readonly size: number;
}

export interface DecodeSegmentOptions {
  readonly signal?: AbortSignal | undefined;
}
