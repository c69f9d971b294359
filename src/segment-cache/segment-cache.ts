import { TsbuilderError, messageOf } from '../errors.js';
import { assertRange } from '../io/byte-source.js';
import type { Counters } from '../io/counters.js';
import type { DiskExtent, DiskSource } from '../io/disk-source.js';
import type { Segment, SegmentedContent } from '../io/segments.js';
import { DecodeScheduler } from './decode-scheduler.js';
import { PAGE } from './pages.js';
import { PageStore, type SegmentRange } from './page-store.js';
import { ReadAhead } from './read-ahead.js';
import { listExtents } from './segment-extents.js';
import type { Waiter } from './segment-run.js';
import { type SpillFile, openSpillFile } from './spill-file.js';

/** What the cache may use. */
export interface SegmentCacheOptions {
  /** Memory for decoded content. */
  readonly cacheBytes: number;
  /** A file that does not exist, or a folder: decoded content goes to a sparse file there that has no name. */
  readonly spill?: string | undefined;
  /** Decoders that work at once. */
  readonly jobs: number;
  readonly counters: Counters;
  /** Segments that are decoded ahead of a sequential reader. Default: `jobs`. */
  readonly readAhead?: number | undefined;
  /** Told, in a sentence, what went wrong without a reader to tell it to. */
  readonly log?: ((line: string) => void) | undefined;
  /** Ends everything: reads fail with its reason. */
  readonly signal?: AbortSignal | undefined;
}

const MIB = 1024 * 1024;
/** Segments up to this size are decoded to their end into a spill file though nobody waits for it. */
const SPILL_WHOLE = 256 * MIB;
/** Segments that are looked at to find those that are to be decoded ahead: zero ones are passed over. */
const LOOK_AHEAD = 64;
/** Memory that one half-decoded segment takes, about: an 8 MiB dictionary and its compressed bytes. */
const PARKED = 16 * MIB;

/**
 * Segmented content as a disk, through one cache for all its readers.
 *
 * A read is answered as soon as its own bytes have been decoded, which may be before the integrity check at the segment's end; if that
 * check fails later, what was kept of the segment is dropped and the failure logged, and reads after that decode it anew. A failed
 * read is never remembered. Whoever needs certainty before the first byte gives a content that verifies its compressed bytes.
 *
 * Memory is bounded by `cacheBytes` of content, and besides by some half-decoded segments, each with its dictionary: an eighth of
 * `cacheBytes` of them, but never fewer than two. Disposing the result waits for what is under way and disposes `content`.
 *
 * @throws TSB_OUTPUT_EXISTS, TSB_OUTPUT_UNUSABLE or TSB_NO_SPACE when the spill file cannot be made; `content` is disposed then
 */
export async function openSegmentCache(
  content: SegmentedContent,
  options: SegmentCacheOptions,
): Promise<DiskSource> {
  try {
    options.signal?.throwIfAborted();
    const spill = options.spill === undefined ? undefined : await openSpillFile(options.spill);
    return new SegmentCache(content, options, spill);
  } catch (error) {
    await content[Symbol.asyncDispose]();
    throw error;
  }
}

class SegmentCache implements DiskSource {
  readonly name: string;
  readonly size: number;
  readonly #pages: PageStore;
  readonly #scheduler: DecodeScheduler;
  readonly #readAhead = new ReadAhead();
  #spillBroken = false;
  readonly #endOnAbort = (): void => void this.#scheduler.close(this.options.signal?.reason);

  constructor(
    private readonly content: SegmentedContent,
    private readonly options: SegmentCacheOptions,
    private readonly spill: SpillFile | undefined,
  ) {
    const { cacheBytes, counters, jobs, log = () => undefined } = options;
    this.name = content.name;
    this.size = content.size;
    this.#pages = new PageStore(content.segmentCount, cacheBytes);
    this.#scheduler = new DecodeScheduler({
      content,
      jobs: Math.max(1, jobs),
      parked: Math.min(16, Math.max(2, Math.floor(cacheBytes / 8 / PARKED))),
      holdable: spill ? SPILL_WHOLE : cacheBytes / 4,
      log,
      store: {
        pages: this.#pages,
        counters,
        spill: () => (this.#spillBroken ? undefined : spill),
        spillFailed: (error) => {
          this.#spillBroken = true;
          log(`the cache file takes no more, memory is used alone: ${messageOf(error)}`);
        },
      },
    });
    options.signal?.addEventListener('abort', this.#endOnAbort, { once: true });
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    assertRange(this, offset, length);
    const target = Buffer.allocUnsafeSlow(length);
    await this.readInto(offset, target, signal);
    return target;
  }

  async readInto(offset: number, target: Buffer, signal?: AbortSignal): Promise<void> {
    const { length } = target;
    signal?.throwIfAborted();
    assertRange(this, offset, length);
    const missing = this.#copyHeld(offset, target);
    if (missing.length === 0) this.options.counters.cacheHits += 1;
    else await this.#readMissing(missing, signal);
    if (this.#readAhead.note(offset, length)) void this.#decodeAhead(offset + length).catch(() => undefined);
  }

  async extents(offset: number, length: number, signal?: AbortSignal): Promise<readonly DiskExtent[]> {
    signal?.throwIfAborted();
    assertRange(this, offset, length);
    return listExtents(
      { content: this.content, pages: this.#pages, isZero: (segment) => this.#isZero(segment, signal) },
      offset,
      offset + length,
    );
  }

  async prefetch(offset: number, length: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    assertRange(this, offset, length);
    // More than the cache can hold would push out what was fetched first.
    const wanted = this.spill ? length : Math.min(length, this.options.cacheBytes / 2);
    const parts = this.#parts(offset, wanted).filter(({ segment, from, to }) => {
      for (let at = from; at < to; at += PAGE)
        if (!this.#pages.has(segment.number, Math.floor(at / PAGE))) return true;
      return false;
    });
    await settleAll(parts.map((range) => this.#decode({ ...range, target: undefined }, signal)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.options.signal?.removeEventListener('abort', this.#endOnAbort);
    await this.#scheduler.close(new TsbuilderError('TSB_INTERRUPTED', `${this.name}: has been closed`));
    await this.spill?.[Symbol.asyncDispose]();
    await this.content[Symbol.asyncDispose]();
  }

  /** The range cut at segment bounds. */
  #parts(offset: number, length: number): SegmentRange[] {
    const end = offset + length;
    const parts: SegmentRange[] = [];
    let number = offset < end ? this.content.find(offset) : 0;
    for (let at = offset; at < end; number += 1) {
      const segment = this.content.segment(number);
      const to = Math.min(end, segment.offset + segment.size);
      parts.push({ segment, from: at - segment.offset, to: to - segment.offset });
      at = to;
    }
    return parts;
  }

  /** Copies what is in memory or zero; returns what is left to do. */
  #copyHeld(offset: number, target: Buffer): (SegmentRange & { readonly target: Buffer })[] {
    return this.#parts(offset, target.length).flatMap((part) => {
      const start = part.segment.offset + part.from - offset;
      const inTarget = target.subarray(start, start + part.to - part.from);
      const from = this.#pages.copy(part, inTarget);
      if (from === part.to) return [];
      return [{ ...part, from, target: inTarget.subarray(from - part.from) }];
    });
  }

  async #readMissing(
    missing: readonly (SegmentRange & { readonly target: Buffer })[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const decoded = await settleAll(missing.map((range) => this.#fill(range, signal)));
    if (decoded.includes(true)) this.options.counters.cacheMisses += 1;
    else this.options.counters.cacheHits += 1;
  }

  /** Fills `target`; returns whether something had to be decoded for it. */
  async #fill(range: SegmentRange & { target: Buffer }, signal: AbortSignal | undefined): Promise<boolean> {
    const { segment, to } = range;
    let { from, target } = range;
    while (from < to) {
      const at = from;
      from = this.#pages.copy({ segment, from, to }, target);
      if (from === at) from = await this.#copySpilled({ segment, from, to }, target);
      if (from === at) {
        await this.#decode({ segment, from, to, target }, signal);
        return true;
      }
      target = target.subarray(from - at);
    }
    return false;
  }

  /** Copies what is in the file but not in memory; returns where it stopped. */
  async #copySpilled({ segment, from, to }: SegmentRange, target: Buffer): Promise<number> {
    let end = from;
    while (end < to && this.#pages.isSpilled(segment.number, Math.floor(end / PAGE)))
      end = Math.min(to, (Math.floor(end / PAGE) + 1) * PAGE);
    if (end > from) await this.spill?.read(segment.offset + from, target.subarray(0, end - from));
    return end;
  }

  /** Waits for a range to be decoded, unless its segment is found to be zero. */
  async #decode(range: Omit<Waiter, 'settle'>, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#scheduler.isRunning(range.segment.number) && (await this.#isZero(range.segment, signal))) {
      range.target?.fill(0);
      return;
    }
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: unknown): void => {
        signal?.removeEventListener('abort', stop);
        if (error === undefined) resolve();
        else reject(error instanceof Error ? error : new Error(messageOf(error)));
      };
      const waiter: Waiter = { ...range, settle };
      const stop = (): void => {
        this.#scheduler.forget(waiter);
        settle(signal?.reason);
      };
      signal?.addEventListener('abort', stop, { once: true });
      this.#scheduler.want(waiter);
    });
  }

  async #isZero({ number }: Segment, signal?: AbortSignal): Promise<boolean> {
    if (this.#pages.isZeroSegment(number)) return true;
    if (!(await this.content.isZero?.(number, signal))) return false;
    this.#pages.setZeroSegment(number);
    return true;
  }

  /** Begins with the segments behind the byte in front of `end`: as many as there are to be and as fit into a quarter of the memory. */
  async #decodeAhead(end: number): Promise<void> {
    const { readAhead = this.options.jobs, cacheBytes } = this.options;
    const first = this.content.find(end - 1) + 1;
    const last = Math.min(this.content.segmentCount, first + LOOK_AHEAD);
    let room = this.spill ? Infinity : cacheBytes / 4;
    for (let number = first, left = readAhead; number < last && left > 0; number += 1) {
      const segment = this.content.segment(number);
      if (await this.#isZero(segment)) continue;
      room -= segment.size;
      if (room < 0) return;
      if (!this.#pages.hasAll(segment)) this.#scheduler.ahead(segment);
      left -= 1;
    }
  }
}

/** Awaits all of `tasks`; then throws the first failure, if any. */
async function settleAll<T>(tasks: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}
