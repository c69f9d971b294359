import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { type RestartPoint, WINDOW_SIZE } from './inflater.js';

/** Memory for seek points. Beyond it every second one is given up. */
const MEMORY_LIMIT = 64 * 1024 * 1024;
/** What a point takes besides its window, roughly. */
const POINT_SIZE = 256;

/** A place where decoding can begin, and what was found there. */
export interface SeekPoint extends RestartPoint {
  /** In the content. */
  readonly contentOffset: number;
  /** CRC32 of all content in front of it. */
  readonly crc: number;
}

/** A seek point without what takes memory. */
export type SeekPlace = Omit<SeekPoint, 'window'>;

interface StoredPoint extends SeekPlace {
  /** Raw deflate; of 32 KiB it leaves a third in a typical disk image. */
  readonly packedWindow: Uint8Array;
  zero: boolean;
}

/**
 * The seek points of a gzip file, in order. Memory is bounded whatever the size of the content: when the points take more than the
 * limit, every second one is dropped, and from then on they are made half as often.
 */
export class SeekPoints {
  #points: StoredPoint[] = [];
  #spacing: number;
  #memory = 0;
  readonly #limit: number;

  /** `spacing`: bytes of content between two points, at first. */
  constructor(spacing: number, limit = MEMORY_LIMIT) {
    this.#spacing = spacing;
    this.#limit = limit;
  }

  /** Bytes of content that should lie between two points. */
  get spacing(): number {
    return this.#spacing;
  }

  get count(): number {
    return this.#points.length;
  }

  /** Adds a point behind all others. The content behind it counts as zero until `sawData`. */
  add(point: SeekPoint): void {
    const { window, ...rest } = point;
    const packedWindow = deflateRawSync(window, { level: 1 });
    this.#points.push({ ...rest, packedWindow, zero: true });
    this.#memory += packedWindow.length + POINT_SIZE;
    while (this.#memory > this.#limit && this.#points.length > 1) this.#thin();
  }

  /** Drops the last point: nothing followed. */
  dropLast(): void {
    this.#points.pop();
  }

  /** Not all content behind the last point is zero. */
  sawData(): void {
    const last = this.#points.at(-1);
    if (last) last.zero = false;
  }

  /** Content offset of the last point. */
  get lastOffset(): number {
    return this.#points.at(-1)?.contentOffset ?? 0;
  }

  /** Point `number`: where stretch `number` begins. @throws RangeError when there is no such point */
  place(number: number): SeekPlace {
    return this.#stored(number);
  }

  /** The content in front of point `number`, up to 32 KiB. @throws RangeError */
  window(number: number): Uint8Array {
    return inflateRawSync(this.#stored(number).packedWindow, { maxOutputLength: WINDOW_SIZE });
  }

  /** Whether stretch `number`, from its point to the next one or to the end, is zero throughout. @throws RangeError */
  isZero(number: number): boolean {
    return this.#stored(number).zero;
  }

  /** Where the stretches begin, and `end`. */
  offsets(end: number): Float64Array {
    return Float64Array.from([...this.#points.map(({ contentOffset }) => contentOffset), end]);
  }

  #stored(number: number): StoredPoint {
    const stored = this.#points[number];
    if (!stored) throw new RangeError(`no seek point ${number} of ${this.#points.length}`);
    return stored;
  }

  #thin(): void {
    const kept: StoredPoint[] = [];
    for (const [index, point] of this.#points.entries()) {
      const before = kept.at(-1);
      if (index % 2 === 0) kept.push(point);
      else if (before) before.zero &&= point.zero;
    }
    this.#points = kept;
    this.#memory = kept.reduce((sum, { packedWindow }) => sum + packedWindow.length + POINT_SIZE, 0);
    this.#spacing *= 2;
  }
}
