import { messageOf } from '../errors.js';
import type { Segment, SegmentedContent } from '../io/segments.js';
import { type RunStore, SegmentRun, type Waiter } from './segment-run.js';

/** How decoding is shared out. */
export interface SchedulerOptions {
  readonly content: SegmentedContent;
  readonly store: RunStore;
  /** Decoders that work at once. */
  readonly jobs: number;
  /** Decoders that may stand still half-way, each with its dictionary. */
  readonly parked: number;
  /** Segments up to this size are decoded to their end though nobody waits for it. */
  readonly holdable: number;
  readonly log: (line: string) => void;
}

/** Segments that may wait to be decoded ahead of a reader; beyond, those that have waited longest are given up. */
const AHEAD = 8;
/** Decodings that wait for a core and have what they need fetched meanwhile. */
const PREPARED = 4;
/** How far a segment that is too large to be held is decoded beyond what was asked for, in bytes. */
const BEYOND = 4 * 1024 * 1024;
/** After so many bytes a decoding lets others have its turn, though someone waits for it, in bytes. */
const TURN = 32 * 1024 * 1024;

/**
 * Runs the decodings, at most `jobs` at a time. Those that someone waits for come first, in the order in which they were asked for;
 * cores that are left over bring half-decoded segments to their end, the one with the least left first, and then begin segments
 * that will probably be asked for. Such work stops at the next slice when someone waits.
 */
export class DecodeScheduler {
  readonly #runs = new Map<number, Set<SegmentRun>>();
  /** Runs that someone waits for and that are not being worked on, in the order of asking. */
  readonly #wanted = new Set<SegmentRun>();
  /** Runs that nobody waits for and that are not being worked on. */
  readonly #idle = new Set<SegmentRun>();
  /** Work that must be over before the content can be disposed. */
  readonly #busy = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #active = 0;

  constructor(private readonly options: SchedulerOptions) {}

  /** Decodes the waiter's range for him, from where a decoding of his segment stands if it is not beyond already. */
  want(waiter: Waiter): void {
    if (this.#closing.signal.aborted) {
      waiter.settle(this.#closing.signal.reason);
      return;
    }
    const run = this.#nearest(waiter) ?? this.#open(waiter.segment);
    run.waiters.add(waiter);
    run.goal = Math.max(run.goal, this.#goal(waiter.segment, waiter.to));
    if (this.#idle.delete(run)) this.#wanted.add(run);
    this.#schedule();
  }

  /** Takes back a waiter who needs nothing any more. What was begun for him may go on, others may wait for it. */
  forget(waiter: Waiter): void {
    for (const run of this.#runs.get(waiter.segment.number) ?? []) {
      if (!run.waiters.delete(waiter) || run.waiters.size > 0 || !this.#wanted.delete(run)) continue;
      if (run.started) this.#park(run);
      else this.#close(run);
    }
    this.#schedule();
  }

  /** Decodes a segment when a core has nothing else to do. */
  ahead(segment: Segment): void {
    if (this.#closing.signal.aborted || this.isRunning(segment.number)) return;
    this.#open(segment).goal = segment.size;
    const waiting = [...this.#idle].filter(({ started }) => !started);
    for (const run of waiting.slice(0, -AHEAD)) this.#close(run);
    this.#schedule();
  }

  isRunning(number: number): boolean {
    return this.#runs.has(number);
  }

  /** Ends everything; who waits gets `reason`. */
  async close(reason: unknown): Promise<void> {
    this.#closing.abort(reason);
    for (const run of [...this.#wanted, ...this.#idle]) {
      run.fail(reason);
      this.#close(run);
    }
    while (this.#busy.size > 0) await Promise.allSettled(this.#busy);
  }

  #goal({ size }: Segment, needed: number): number {
    return size <= this.options.holdable ? size : Math.min(size, needed + BEYOND);
  }

  /** Of the decodings of the waiter's segment that have not passed his range yet, the one that is furthest. */
  #nearest({ segment, from }: Waiter): SegmentRun | undefined {
    const fit = [...(this.#runs.get(segment.number) ?? [])].filter(({ position }) => position <= from);
    return fit.sort((a, b) => b.position - a.position)[0];
  }

  /** A new decoding, for which nobody waits yet. */
  #open(segment: Segment): SegmentRun {
    const { content, store } = this.options;
    const slices = content.decode(segment.number, { signal: this.#closing.signal });
    const run = new SegmentRun(segment, slices, store);
    const runs = this.#runs.get(segment.number);
    if (runs) runs.add(run);
    else this.#runs.set(segment.number, new Set([run]));
    this.#idle.add(run);
    return run;
  }

  #schedule(): void {
    while (this.#active < this.options.jobs) {
      const run = this.#next();
      if (!run) return;
      this.#wanted.delete(run);
      this.#idle.delete(run);
      this.#active += 1;
      this.#track(this.#work(run));
    }
    const waiting = [...this.#wanted, ...this.#idle].filter(({ started }) => !started);
    for (const { segment } of waiting.slice(0, PREPARED)) this.options.content.prepare?.(segment.number);
  }

  #next(): SegmentRun | undefined {
    const [wanted] = this.#wanted;
    if (wanted) return wanted;
    const left = ({ goal, position, started }: SegmentRun): number =>
      started ? goal - position : Number.MAX_SAFE_INTEGER;
    const open = [...this.#idle].filter(({ goal, position }) => position < goal);
    return open.sort((a, b) => left(a) - left(b))[0];
  }

  async #work(run: SegmentRun): Promise<void> {
    try {
      await this.#advance(run);
      if (run.complete) this.#close(run);
      else if (run.waiters.size > 0) this.#wanted.add(run);
      else this.#park(run);
    } catch (error) {
      this.#fail(run, error);
    } finally {
      this.#active -= 1;
      this.#schedule();
    }
  }

  /** Decodes while the run is the most useful thing to do. */
  async #advance(run: SegmentRun): Promise<void> {
    const begin = run.position;
    while (!run.complete) {
      this.#closing.signal.throwIfAborted();
      await run.step();
      const others = this.#wanted.size > 0;
      if (run.waiters.size > 0) {
        if (others && run.position - begin >= TURN && this.#hasRoomToPark()) return;
      } else if (run.position >= run.goal || (others && this.#mayLeave(run))) return;
    }
  }

  /** Whether a run that nobody waits for gives way: not when it could only be thrown away half-done, to be begun again soon. */
  #mayLeave({ goal, segment }: SegmentRun): boolean {
    return goal < segment.size || this.#hasRoomToPark();
  }

  #hasRoomToPark(): boolean {
    const halfway = [...this.#wanted, ...this.#idle].filter(({ started }) => started);
    return halfway.length < this.options.parked;
  }

  /** Keeps a half-decoded run for later. When there are too many, the one that is repeated most cheaply goes. */
  #park(run: SegmentRun): void {
    this.#idle.add(run);
    const parked = [...this.#idle].filter(({ started }) => started);
    if (parked.length <= this.options.parked) return;
    const least = parked.reduce((a, b) => (b.position < a.position ? b : a));
    this.#close(least);
  }

  #fail(run: SegmentRun, error: unknown): void {
    if (!this.#closing.signal.aborted) {
      this.options.store.pages.drop(run.segment.number);
      // Readers who wait are told, and it is theirs to say.
      if (run.waiters.size === 0) this.options.log(messageOf(error));
    }
    run.fail(error);
    this.#close(run);
  }

  #close(run: SegmentRun): void {
    this.#wanted.delete(run);
    this.#idle.delete(run);
    const runs = this.#runs.get(run.segment.number);
    runs?.delete(run);
    if (runs?.size === 0) this.#runs.delete(run.segment.number);
    this.#track(run.close());
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.options.log(messageOf(error)))
      .finally(() => this.#busy.delete(tracked));
    this.#busy.add(tracked);
  }
}
