import type { ByteSource } from '../io/byte-source.js';
import type { XzBlock, XzIndex } from './block-table.js';
import { decodeBlock } from './decode-block.js';
import { loadXzEngine } from './engine.js';
import type { PieceCache } from './piece-cache.js';

/** Content is decoded in pieces of this many bytes, counted from the start of each block. The last may be shorter. */
export const PIECE = 256 * 1024;

/** Compressed bytes of the first read of a block: about what one piece takes. */
const FIRST_READ = 64 * 1024;
/** Blocks that stay half decoded, so that a later read further on need not begin again. Each holds its dictionary. */
const OPEN = 2;

interface Cursor {
  readonly block: XzBlock;
  /** Number of the piece that comes next. */
  next: number;
  readonly pieces: AsyncGenerator<Uint8Array, void>;
  /** Stops the reads under way. */
  readonly abort: AbortController;
  close(): Promise<void>;
}

/** Blocks decoded forwards on demand. One call at a time. */
export class BlockCursors {
  /** The most recently used last. */
  readonly #open: Cursor[] = [];

  constructor(
    private readonly source: ByteSource,
    private readonly index: XzIndex,
    private readonly options: { readonly cache: PieceCache; readonly dictionaryLimit: number },
  ) {}

  /** Piece `number` of `block`, from the cache or decoded. An abort of `signal` also ends the block's decoding. */
  async piece(block: XzBlock, number: number, signal?: AbortSignal): Promise<Buffer> {
    const cached = this.options.cache.get(block.number, number);
    if (cached) return cached;
    const cursor = this.#take(block, number) ?? (await this.#start(block));
    const abort = (): void => cursor.abort.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const data = await this.#advance(cursor, number, signal);
      await this.#keep(cursor);
      return data;
    } catch (error) {
      await cursor.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async close(): Promise<void> {
    for (const cursor of this.#open.splice(0)) await cursor.close();
  }

  async #advance(cursor: Cursor, number: number, signal?: AbortSignal): Promise<Buffer> {
    for (;;) {
      signal?.throwIfAborted();
      const { value } = await cursor.pieces.next();
      if (value === undefined) throw new RangeError(`block ${cursor.block.number} has no piece ${number}`);
      const data = Buffer.from(value);
      // The last piece is handed out only when the block's integrity check is right.
      if ((cursor.next + 1) * PIECE >= cursor.block.uncompressedSize) await cursor.pieces.next();
      this.options.cache.set(cursor.block.number, cursor.next, data);
      cursor.next += 1;
      if (cursor.next > number) return data;
    }
  }

  #take(block: XzBlock, number: number): Cursor | undefined {
    const at = this.#open.findIndex(
      (cursor) => cursor.block.number === block.number && cursor.next <= number,
    );
    return at < 0 ? undefined : this.#open.splice(at, 1)[0];
  }

  async #keep(cursor: Cursor): Promise<void> {
    this.#open.push(cursor);
    if (this.#open.length > OPEN) await this.#open.shift()?.close();
  }

  async #start(block: XzBlock): Promise<Cursor> {
    const engine = await loadXzEngine();
    const decoder = engine.openDecoder({ sliceSize: PIECE, dictionaryLimit: this.options.dictionaryLimit });
    const abort = new AbortController();
    const pieces = decodeBlock(decoder, {
      source: this.source,
      block,
      check: this.index.streams[block.stream]?.check ?? 0,
      firstRead: FIRST_READ,
      signal: abort.signal,
    });
    const close = async (): Promise<void> => {
      await pieces.return();
      decoder[Symbol.dispose]();
    };
    return { block, next: 0, pieces, abort, close };
  }
}
