import type { ByteSource } from './byte-source.js';

/** Bytes of one read: large enough to make up for the round trip of an HTTP request. */
const PIECE = 4 * 1024 * 1024;
/** Reads under way besides the piece in use. */
const AHEAD = 2;

/** What is read. */
export interface InputRange {
  readonly from: number;
  /** Where to stop, exclusive. */
  readonly to: number;
  /** Called with the length of each piece when it has been used up. */
  readonly onUsed?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A range of a source as a stream for a decoder, from its beginning: read by pieces of 4 MiB, two of them ahead of the one in use, so
 * that reading and decoding overlap. Disposing it ends the reads under way.
 */
export class InputCursor implements AsyncDisposable {
  readonly #range: InputRange;
  readonly #pieces: AsyncGenerator<Uint8Array, void>;
  #piece: Uint8Array = new Uint8Array(0);

  constructor(source: ByteSource, range: InputRange) {
    this.#range = range;
    this.#position = range.from;
    this.#pieces = readPieces(source, range);
  }

  #position: number;

  /** Offset in the source of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** The bytes at hand, at least one unless the range is at its end. They stay valid while the caller keeps them. */
  async rest(): Promise<Uint8Array> {
    return this.peek(1);
  }

  /** The bytes at hand, at least `length` of them unless the range ends before. Meant for small lengths. */
  async peek(length: number): Promise<Uint8Array> {
    while (this.#piece.length < length) {
      const { value } = await this.#pieces.next();
      if (!value) break;
      this.#piece = this.#piece.length === 0 ? value : Buffer.concat([this.#piece, value]);
    }
    return this.#piece;
  }

  /** Goes over `length` of the bytes that were handed out last. */
  advance(length: number): void {
    if (length > this.#piece.length)
      throw new RangeError(`advance by ${length} of ${this.#piece.length} bytes`);
    this.#piece = this.#piece.subarray(length);
    this.#position += length;
    if (length > 0) this.#range.onUsed?.(length);
  }

  /** The next `length` bytes, fewer only at the range's end. Meant for small lengths. */
  async take(length: number): Promise<Uint8Array> {
    const bytes = (await this.peek(length)).subarray(0, length);
    this.advance(bytes.length);
    return bytes;
  }

  /** Goes over `length` bytes. False when the range ends before. */
  async skip(length: number): Promise<boolean> {
    for (let left = length; left > 0;) {
      const { length: have } = await this.rest();
      if (have === 0) return false;
      const step = Math.min(have, left);
      this.advance(step);
      left -= step;
    }
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces.return();
  }
}

async function* readPieces(source: ByteSource, range: InputRange): AsyncGenerator<Uint8Array, void> {
  const stop = new AbortController();
  const signal = range.signal ? AbortSignal.any([range.signal, stop.signal]) : stop.signal;
  const reads: Promise<Uint8Array>[] = [];
  let at = range.from;
  const readOn = (): void => {
    for (; reads.length < AHEAD && at < range.to; at += PIECE) {
      const read = source.read(at, Math.min(PIECE, range.to - at), signal);
      // It is awaited only when its turn has come.
      read.catch(() => undefined);
      reads.push(read);
    }
  };
  try {
    readOn();
    for (let next = reads.shift(); next; next = reads.shift()) {
      const piece = await next;
      readOn();
      yield piece;
    }
  } finally {
    stop.abort();
    await Promise.allSettled(reads);
  }
}
