import { isAllZero } from '../io/all-zero.js';
import type { Segment } from '../io/segments.js';
import { BitSet } from './bit-set.js';
import { PAGE, pageCount } from './pages.js';

/** A range of one segment, in bytes from the segment's start. */
export interface SegmentRange {
  readonly segment: Segment;
  readonly from: number;
  readonly to: number;
}

/** What is known and held of one segment. */
interface Held {
  /** Pages in memory, the least recently used first. */
  readonly memory: Map<number, Buffer>;
  readonly zero: BitSet;
  /** Pages that are in the spill file. */
  readonly spilled: BitSet;
}

/** Page buffers are cut from pieces of this many bytes: thousands of small ones would keep the garbage collector busy. */
const SLAB = 4 * 1024 * 1024;

/**
 * Decoded pages in memory, at most `capacity` bytes of them, and the memory of what is zero, which costs a bit a page. When there are
 * too many, the segment that was used longest ago loses its pages first.
 */
export class PageStore {
  readonly #held = new Map<number, Held>();
  /** Segments with pages in memory, the least recently used first. */
  readonly #recent = new Map<number, Held>();
  readonly #zeroSegments: BitSet;
  /** Page buffers without content. */
  readonly #spare: Buffer[] = [];
  #bytes = 0;

  constructor(
    segmentCount: number,
    private readonly capacity: number,
  ) {
    this.#zeroSegments = new BitSet(segmentCount);
  }

  /** Bytes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  isZeroSegment(number: number): boolean {
    return this.#zeroSegments.has(number);
  }

  /** Remembers that a segment is zero throughout. Nothing else is kept of it. */
  setZeroSegment(number: number): void {
    this.drop(number);
    this.#zeroSegments.add(number);
  }

  isZeroPage(number: number, page: number): boolean {
    return this.isZeroSegment(number) || this.#held.get(number)?.zero.has(page) === true;
  }

  /** Whether some page of the segment is known to be zero. */
  hasZeroPages(number: number): boolean {
    return this.isZeroSegment(number) || (this.#held.get(number)?.zero.count ?? 0) > 0;
  }

  isSpilled(number: number, page: number): boolean {
    return this.#held.get(number)?.spilled.has(page) === true;
  }

  setSpilled(segment: Segment, page: number): void {
    this.#of(segment).spilled.add(page);
  }

  /** Whether the page need not be decoded to be read. */
  has(number: number, page: number): boolean {
    const held = this.#held.get(number);
    return (
      this.isZeroPage(number, page) || held?.memory.has(page) === true || held?.spilled.has(page) === true
    );
  }

  /** Whether the segment is held as a whole: in memory, or in the file. */
  hasAll({ number, size }: Segment): boolean {
    const held = this.#held.get(number);
    const inOnePlace = Math.max(held?.memory.size ?? 0, held?.spilled.count ?? 0);
    return this.isZeroSegment(number) || (held?.zero.count ?? 0) + inOnePlace >= pageCount(size);
  }

  /**
   * Copies what is in memory or zero, from the range's start up to the first page that is not.
   *
   * @param target takes the range's bytes from its own start
   * @returns where it stopped: `to` when nothing was missing
   */
  copy({ segment, from, to }: SegmentRange, target: Buffer): number {
    if (this.isZeroSegment(segment.number)) {
      target.fill(0, 0, to - from);
      return to;
    }
    const held = this.#held.get(segment.number);
    if (!held) return from;
    let at = from;
    while (at < to) {
      const page = Math.floor(at / PAGE);
      const end = Math.min(to, (page + 1) * PAGE);
      const data = held.memory.get(page);
      if (data) data.copy(target, at - from, at - page * PAGE, end - page * PAGE);
      else if (held.zero.has(page)) target.fill(0, at - from, end - from);
      else break;
      if (data) this.#touch(segment.number, held, page);
      at = end;
    }
    return at;
  }

  /** Takes over a copy of decoded content that begins at a page and ends at one, or with the segment. */
  put(segment: Segment, from: number, slice: Uint8Array): void {
    const held = this.#of(segment);
    for (let at = 0; at < slice.length; at += PAGE) {
      const page = (from + at) / PAGE;
      if (held.zero.has(page) || held.memory.has(page)) continue;
      const data = slice.subarray(at, at + PAGE);
      if (isAllZero(data)) held.zero.add(page);
      else if (data.length <= this.capacity) this.#keep(segment.number, held, { page, data });
    }
    if (held.zero.count === held.zero.length) this.setZeroSegment(segment.number);
  }

  /** Forgets all that was learnt of a segment. */
  drop(number: number): void {
    const held = this.#held.get(number);
    for (const data of held?.memory.values() ?? []) this.#release(data);
    this.#recent.delete(number);
    this.#held.delete(number);
  }

  #of({ number, size }: Segment): Held {
    let held = this.#held.get(number);
    if (!held) {
      const pages = pageCount(size);
      held = { memory: new Map(), zero: new BitSet(pages), spilled: new BitSet(pages) };
      this.#held.set(number, held);
    }
    return held;
  }

  #keep(number: number, held: Held, { page, data }: { page: number; data: Uint8Array }): void {
    this.#makeRoom(data.length);
    // Making room may have taken the segment's own last page, and the segment with it.
    this.#held.set(number, held);
    const copy = data.length === PAGE ? this.#takeSpare() : Buffer.allocUnsafeSlow(data.length);
    copy.set(data);
    held.memory.set(page, copy);
    this.#bytes += copy.length;
    this.#recent.delete(number);
    this.#recent.set(number, held);
  }

  #touch(number: number, held: Held, page: number): void {
    const data = held.memory.get(page);
    if (data) {
      held.memory.delete(page);
      held.memory.set(page, data);
    }
    this.#recent.delete(number);
    this.#recent.set(number, held);
  }

  #makeRoom(bytes: number): void {
    for (const [number, held] of this.#recent) {
      for (const [page, data] of held.memory) {
        if (this.#bytes + bytes <= this.capacity) return;
        held.memory.delete(page);
        this.#release(data);
      }
      this.#recent.delete(number);
      if (held.zero.count === 0 && held.spilled.count === 0) this.#held.delete(number);
    }
  }

  #release(data: Buffer): void {
    this.#bytes -= data.length;
    if (data.length === PAGE) this.#spare.push(data);
  }

  #takeSpare(): Buffer {
    const spare = this.#spare.pop();
    if (spare) return spare;
    const pages = Math.max(1, Math.floor(Math.min(SLAB, this.capacity - this.#bytes) / PAGE));
    // Shared memory is not counted as growth for which the garbage collector has to run: a cache that fills is no garbage.
    const slab = Buffer.from(new SharedArrayBuffer(pages * PAGE));
    for (let at = PAGE; at < slab.length; at += PAGE) this.#spare.push(slab.subarray(at, at + PAGE));
    return slab.subarray(0, PAGE);
  }
}
