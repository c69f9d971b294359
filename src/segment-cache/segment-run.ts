import type { Counters } from '../io/counters.js';
import type { Segment } from '../io/segments.js';
import { PAGE, inPages } from './pages.js';
import type { PageStore, SegmentRange } from './page-store.js';
import type { SpillFile } from './spill-file.js';

/** Someone who needs a range of a segment. It is copied for him as it is decoded, whether or not the cache can hold it. */
export interface Waiter extends SegmentRange {
  /** Where the range's bytes go, from its own start; undefined when they only have to be in the cache. */
  readonly target: Buffer | undefined;
  /** Called once, without an error when the whole range has been delivered. */
  settle(error?: unknown): void;
}

/** Where decoded content goes. */
export interface RunStore {
  readonly pages: PageStore;
  readonly counters: Counters;
  /** Undefined where there is none, or none any more. */
  spill(): SpillFile | undefined;
  /** The file took no more: it is not written to again. */
  spillFailed(error: unknown): void;
}

/** One decoding of one segment, from its start forwards, step by step. */
export class SegmentRun {
  readonly waiters = new Set<Waiter>();
  /** Bytes decoded and delivered. */
  #position = 0;
  /** How far it is worth decoding though nobody waits. */
  goal = 0;
  #started = false;
  readonly #slices: AsyncGenerator<Uint8Array, void>;

  constructor(
    readonly segment: Segment,
    slices: AsyncIterable<Uint8Array>,
    private readonly store: RunStore,
  ) {
    this.#slices = inPages(slices);
  }

  get position(): number {
    return this.#position;
  }

  /** Whether it holds a decoder. */
  get started(): boolean {
    return this.#started;
  }

  get complete(): boolean {
    return this.#position >= this.segment.size;
  }

  /** Decodes and delivers the next slice. With the last one the segment's check has been found right. */
  async step(): Promise<void> {
    const { counters } = this.store;
    if (!this.#started) counters.segmentsDecoded += 1;
    this.#started = true;
    const { value: slice } = await this.#slices.next();
    if (!slice || this.#position + slice.length > this.segment.size)
      throw new RangeError(`segment ${this.segment.number} does not have ${this.segment.size} bytes`);
    counters.bytesDecoded += slice.length;
    const from = this.#position;
    this.#position += slice.length;
    this.store.pages.put(this.segment, from, slice);
    this.#deliver(from, slice);
    await this.#spill(from, slice);
    if (this.complete) await this.#slices.next();
  }

  /** Settles all who wait. */
  fail(error: unknown): void {
    for (const waiter of this.waiters) waiter.settle(error);
    this.waiters.clear();
  }

  /** Frees the decoder. */
  async close(): Promise<void> {
    await this.#slices.return();
  }

  #deliver(from: number, slice: Uint8Array): void {
    const end = from + slice.length;
    for (const waiter of this.waiters) {
      const start = Math.max(from, waiter.from);
      const stop = Math.min(end, waiter.to);
      if (stop > start) waiter.target?.set(slice.subarray(start - from, stop - from), start - waiter.from);
      if (end < waiter.to) continue;
      this.waiters.delete(waiter);
      waiter.settle();
    }
  }

  /** Writes what is not zero into the file. It is waited for, because the slice is valid no longer than until the next step. */
  async #spill(from: number, slice: Uint8Array): Promise<void> {
    const { pages } = this.store;
    const { segment } = this;
    const wanted = (at: number): boolean => {
      const page = (from + at) / PAGE;
      return !pages.isZeroPage(segment.number, page) && !pages.isSpilled(segment.number, page);
    };
    for (let at = 0; at < slice.length && this.store.spill();) {
      const start = at;
      while (at < slice.length && wanted(at)) at += PAGE;
      if (at > start) await this.#write(from + start, slice.subarray(start, at));
      else at += PAGE;
    }
  }

  async #write(from: number, data: Uint8Array): Promise<void> {
    try {
      await this.store.spill()?.write(this.segment.offset + from, data);
    } catch (error) {
      this.store.spillFailed(error);
      return;
    }
    for (let at = 0; at < data.length; at += PAGE)
      this.store.pages.setSpilled(this.segment, (from + at) / PAGE);
  }
}
