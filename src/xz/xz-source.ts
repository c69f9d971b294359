import { type ByteSource, assertRange } from '../io/byte-source.js';
import type { XzBlock, XzIndex } from './block-table.js';
import { decodeBlock } from './decode-block.js';
import { DICTIONARY_LIMIT } from './decode-xz.js';
import { type BlockDecoder, type XzEngine, loadXzEngine } from './engine.js';

/** Content decoded at once: a short read at the start of a block costs no more than this. */
const SLICE = 512 * 1024;
/** Content that each opened block keeps for later reads. */
const KEPT = 16 * 1024 * 1024;
/** Blocks that stay opened. Each takes its dictionary and what it keeps. */
const OPEN_BLOCKS = 3;

/**
 * The content of an xz file as random-access bytes, for few and small reads: a block is decoded from its start only as far as it
 * has been asked for, and a later read goes on from there. Memory does not depend on the size of the blocks. Bytes come before
 * their block's integrity check is known. Disposing it leaves `source` open.
 *
 * @throws (when read) TSB_XZ_CORRUPT, TSB_XZ_UNSUPPORTED, TSB_XZ_LIMIT, and what the source throws
 */
export function openXzSource(source: ByteSource, index: XzIndex): ByteSource {
  const readers: BlockReader[] = [];
  let turn: Promise<unknown> = Promise.resolve();

  const readerOf = async (number: number): Promise<BlockReader> => {
    const at = readers.findIndex(({ block }) => block.number === number);
    const found = at === -1 ? undefined : readers.splice(at, 1)[0];
    const reader = found ?? new BlockReader(source, index, { number, engine: await loadXzEngine() });
    readers.unshift(reader);
    while (readers.length > OPEN_BLOCKS) await readers.pop()?.[Symbol.asyncDispose]();
    return reader;
  };
  const readRange = async (offset: number, target: Uint8Array, signal?: AbortSignal): Promise<void> => {
    for (let done = 0; done < target.length;) {
      signal?.throwIfAborted();
      const reader = await readerOf(index.find(offset + done));
      const inBlock = offset + done - reader.block.uncompressedOffset;
      const length = Math.min(target.length - done, reader.block.uncompressedSize - inBlock);
      await reader.read(inBlock, target.subarray(done, done + length));
      done += length;
    }
  };
  const xz: ByteSource = {
    name: source.name,
    size: index.uncompressedSize,
    async read(offset, length, signal) {
      assertRange(xz, offset, length);
      const target = new Uint8Array(length);
      // One after the other: neighbouring reads share what the first has decoded.
      const mine = turn.catch(() => undefined).then(() => readRange(offset, target, signal));
      turn = mine;
      await mine;
      return target;
    },
    async [Symbol.asyncDispose]() {
      await turn.catch(() => undefined);
      for (const reader of readers.splice(0)) await reader[Symbol.asyncDispose]();
    },
  };
  return xz;
}

interface Slice {
  readonly offset: number;
  readonly data: Uint8Array;
}

/** One block, decoded forwards on demand; the latest slices are kept, an earlier read begins anew. */
class BlockReader implements AsyncDisposable {
  readonly block: XzBlock;
  readonly #source: ByteSource;
  readonly #check: number;
  readonly #decoder: BlockDecoder;
  #slices: Slice[] = [];
  #kept = 0;
  #position = 0;
  #running: AsyncGenerator<Uint8Array, void> | undefined;

  constructor(source: ByteSource, index: XzIndex, from: { number: number; engine: XzEngine }) {
    this.block = index.block(from.number);
    this.#source = source;
    this.#check = index.streams[this.block.stream]?.check ?? 0;
    this.#decoder = from.engine.openDecoder({ sliceSize: SLICE, dictionaryLimit: DICTIONARY_LIMIT });
  }

  /** Fills `target` with content from `offset` of the block. */
  async read(offset: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length;) {
      const slice = await this.#sliceAt(offset + done);
      const from = offset + done - slice.offset;
      const piece = slice.data.subarray(from, from + target.length - done);
      target.set(piece, done);
      done += piece.length;
    }
  }

  async #sliceAt(offset: number): Promise<Slice> {
    const oldest = this.#slices[0]?.offset ?? 0;
    if (offset < Math.min(oldest, this.#position)) await this.#restart();
    for (;;) {
      const found = this.#slices.find(
        (slice) => offset >= slice.offset && offset < slice.offset + slice.data.length,
      );
      if (found) return found;
      await this.#advance();
    }
  }

  async #advance(): Promise<void> {
    this.#running ??= decodeBlock(this.#decoder, {
      source: this.#source,
      block: this.block,
      check: this.#check,
    });
    const next = await this.#running.next().catch(async (error: unknown) => {
      await this.#restart();
      throw error;
    });
    if (next.done) throw new RangeError(`block ${this.block.number} ended at ${this.#position}`);
    const data = Uint8Array.from(next.value);
    this.#slices.push({ offset: this.#position, data });
    this.#position += data.length;
    this.#kept += data.length;
    while (this.#kept > KEPT) this.#kept -= this.#slices.shift()?.data.length ?? this.#kept;
  }

  async #restart(): Promise<void> {
    await this.#running?.return();
    this.#running = undefined;
    this.#slices = [];
    this.#kept = 0;
    this.#position = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#restart();
    this.#decoder[Symbol.dispose]();
  }
}
