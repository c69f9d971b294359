import type { ByteSource } from '../io/byte-source.js';
import type { XzBlock } from './block-table.js';
import { WHOLE_BLOCK } from './compressed-block.js';

/** Blocks that are fetched in advance. */
const FETCHES = 4;

interface Fetch {
  readonly whole: Promise<Uint8Array>;
  readonly abort: AbortController;
}

/** Compressed blocks that are fetched before they are asked for: a few, and none of those that are too large to be held. */
export class BlockFetches {
  /** Those that nobody has taken, by block number, the oldest first. */
  readonly #waiting = new Map<number, Fetch>();
  readonly #running = new Set<Fetch>();

  constructor(private readonly source: ByteSource) {}

  /** Begins to fetch a block, unless it has been begun. Of too many the oldest is given up; one that fails is forgotten. */
  begin({ number, compressedOffset, totalSize }: XzBlock): void {
    if (this.#waiting.has(number) || totalSize > WHOLE_BLOCK) return;
    const abort = new AbortController();
    const whole = this.source.read(compressedOffset, totalSize, abort.signal);
    const fetch = { whole, abort };
    this.#waiting.set(number, fetch);
    this.#running.add(fetch);
    void whole
      .catch(() => this.#waiting.get(number) === fetch && this.#waiting.delete(number))
      .finally(() => this.#running.delete(fetch));
    const [oldest] = this.#waiting;
    if (!oldest || this.#waiting.size <= FETCHES) return;
    this.#waiting.delete(oldest[0]);
    oldest[1].abort.abort();
  }

  /** The bytes of a block that has been begun. An abort of `signal` ends the fetch: it is the taker's now. */
  take({ number }: XzBlock, signal?: AbortSignal): Promise<Uint8Array> | undefined {
    const fetch = this.#waiting.get(number);
    if (!fetch) return undefined;
    this.#waiting.delete(number);
    const stop = (): void => fetch.abort.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const whole = fetch.whole.finally(() => signal?.removeEventListener('abort', stop));
    // It may fail before it is awaited.
    whole.catch(() => undefined);
    return whole;
  }

  /** Gives up what is under way and waits for its end. */
  async close(): Promise<void> {
    const running = [...this.#running];
    for (const { abort } of running) abort.abort();
    await Promise.allSettled(running.map(({ whole }) => whole));
  }
}
