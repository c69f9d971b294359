import { isAllZero } from '../io/all-zero.js';
import type { InputCursor } from '../io/input-cursor.js';
import { gzipCorrupt } from './gzip-error.js';
import { isGzip, skipGzipHeader } from './gzip-header.js';
import { InflateFailure, type InflateResult, type Inflater } from './inflater.js';

const TRAILER = 8;

/** What one `fill` did. */
export interface Filled {
  /** Bytes of content written. */
  readonly length: number;
  /** What ended it. `block`: a place between two deflate blocks. `member`: the end of a member's deflate data; its trailer follows. */
  readonly by: 'full' | 'block' | 'member';
  /** High bits of the byte in front of the cursor that belong to what follows. Meaningful at `block`. */
  readonly unusedBits: number;
}

/** Decodes the members of a gzip file (RFC 1952) one after the other. */
export class MemberReader {
  readonly #name: string;
  readonly #cursor: InputCursor;
  readonly #inflater: Inflater;

  constructor(name: string, cursor: InputCursor, inflater: Inflater) {
    this.#name = name;
    this.#cursor = cursor;
    this.#inflater = inflater;
  }

  /**
   * Goes over the header of the next member. As with gzip(1), zeros up to the end of the file are padding and are ignored; unlike
   * there, anything else behind a member is an error, not a warning.
   *
   * @returns false when there is no further member
   * @throws TSB_GZIP_CORRUPT
   */
  async openMember(): Promise<boolean> {
    const { position } = this.#cursor;
    const head = await this.#cursor.peek(2);
    if (!isGzip(head)) {
      if (position > 0 && (await this.#onlyZeros())) return false;
      throw gzipCorrupt(this.#name, position, position === 0 ? 'not a gzip file' : 'bytes behind its end');
    }
    const wrong = await skipGzipHeader(this.#cursor);
    if (wrong) throw gzipCorrupt(this.#name, position, `the member here has ${wrong.fault}`);
    this.#inflater.reset();
    return true;
  }

  /**
   * Decodes until `output` is full or the member ends, with `stop: 'block'` also at the end of a deflate block. Not to be called
   * again when the member has ended, before `openMember`.
   *
   * @throws TSB_GZIP_CORRUPT
   */
  async fill(output: Uint8Array, stop: 'block' | 'end'): Promise<Filled> {
    let length = 0;
    for (;;) {
      const { at, produced, unusedBits } = await this.#step(output.subarray(length), stop);
      length += produced;
      if (at === 'end') return { length, by: 'member', unusedBits: 0 };
      if (at === 'block' && stop === 'block') return { length, by: 'block', unusedBits };
      if (length === output.length) return { length, by: 'full', unusedBits };
    }
  }

  /** CRC32 and size modulo 2^32 of the content, from behind the deflate data. @throws TSB_GZIP_CORRUPT */
  async readTrailer(): Promise<{ crc: number; size: number }> {
    const { position } = this.#cursor;
    const bytes = Buffer.from(await this.#cursor.take(TRAILER));
    if (bytes.length < TRAILER) throw this.#truncated(position);
    return { crc: bytes.readUInt32LE(0), size: bytes.readUInt32LE(4) };
  }

  async #step(output: Uint8Array, stop: 'block' | 'end'): Promise<InflateResult> {
    const input = await this.#cursor.rest();
    const { position } = this.#cursor;
    if (input.length === 0) throw this.#truncated(position);
    try {
      const result = await this.#inflater.run(input, output, stop);
      this.#cursor.advance(result.consumed);
      return result;
    } catch (error) {
      if (!(error instanceof InflateFailure)) throw error;
      throw gzipCorrupt(this.#name, position, `${error.message} behind this place`);
    }
  }

  async #onlyZeros(): Promise<boolean> {
    for (;;) {
      const bytes = await this.#cursor.rest();
      if (bytes.length === 0) return true;
      if (!isAllZero(bytes)) return false;
      this.#cursor.advance(bytes.length);
    }
  }

  #truncated(position: number): Error {
    return gzipCorrupt(this.#name, position, 'it ends in the middle of a member');
  }
}
