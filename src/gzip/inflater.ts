import { addressOf } from '../io/native.js';
import { type Zlib, loadZlib } from './zlib.js';

/** Offsets of the fields of `z_stream` (zlib.h). */
const STREAM_SIZE = 112;
const NEXT_IN = 0;
const AVAIL_IN = 8;
const NEXT_OUT = 24;
const AVAIL_OUT = 32;
const DATA_TYPE = 88;

/** Bits of `data_type`; the lowest three are the number of unused bits. */
const LAST_BLOCK = 64;
const BETWEEN_BLOCKS = 128;

const RAW_DEFLATE = -15;
const Z_NO_FLUSH = 0;
const Z_BLOCK = 5;
const Z_OK = 0;
const Z_STREAM_END = 1;
const Z_MEM_ERROR = -4;
const Z_BUF_ERROR = -5;

/** How far matches reach back. */
export const WINDOW_SIZE = 32 * 1024;

/** The data is no deflate data (RFC 1951). */
export class InflateFailure extends Error {}

/** A place between two deflate blocks at which decoding can go on. */
export interface RestartPoint {
  /** In the source: of the byte that holds the first bit, or of the next byte when `bits` is 0. */
  readonly offset: number;
  /** How many of the high bits of the byte at `offset` belong to what follows, 0 to 7. */
  readonly bits: number;
  /** The content in front of it, up to 32 KiB of its own deflate stream. */
  readonly window: Uint8Array;
}

/** What one call did. */
export interface InflateResult {
  readonly consumed: number;
  readonly produced: number;
  /** `end`: of the deflate stream. `block`: between two blocks, where `unusedBits` tells the place. */
  readonly at: 'within' | 'block' | 'end';
  /** High bits of the last byte consumed that have not been used. Meaningful between blocks. */
  readonly unusedBits: number;
}

/** A decoder of raw deflate data. One call at a time; dispose it when none is running. */
export class Inflater implements Disposable {
  readonly #zlib: Zlib;
  /** zlib keeps its address: it is never replaced. */
  readonly #strm = Buffer.alloc(STREAM_SIZE);

  /** @throws TSB_TOOL_MISSING */
  constructor() {
    this.#zlib = loadZlib();
    // zlib compares only the first digit of the version, and the size of the structure.
    this.#check(this.#zlib.init(this.#strm, RAW_DEFLATE, '1', STREAM_SIZE));
  }

  /** Makes it ready for another deflate stream. */
  reset(): void {
    this.#check(this.#zlib.reset(this.#strm));
  }

  /** Makes it ready to go on at a restart point. `first` is the byte at its offset, needed when it has bits there. */
  resume(point: Pick<RestartPoint, 'bits' | 'window'>, first: number): void {
    this.reset();
    const { bits, window } = point;
    if (bits > 0) this.#check(this.#zlib.prime(this.#strm, bits, first >> (8 - bits)));
    if (window.length > 0) this.#check(this.#zlib.setDictionary(this.#strm, window, window.length));
  }

  /**
   * Decodes, in the pool, until the output is full, the input used up, the stream at its end or, with `stop: 'block'`, a block
   * at its end. Neither input nor output may be empty.
   *
   * @throws InflateFailure
   */
  async run(input: Uint8Array, output: Uint8Array, stop: 'block' | 'end'): Promise<InflateResult> {
    const strm = this.#strm;
    strm.writeBigUInt64LE(addressOf(input), NEXT_IN);
    strm.writeUInt32LE(input.length, AVAIL_IN);
    strm.writeBigUInt64LE(addressOf(output), NEXT_OUT);
    strm.writeUInt32LE(output.length, AVAIL_OUT);
    const flush = stop === 'block' ? Z_BLOCK : Z_NO_FLUSH;
    const code = Number(await this.#zlib.inflate.inPool([strm, flush], [input, output]));
    const type = strm.readInt32LE(DATA_TYPE);
    const between = (type & BETWEEN_BLOCKS) !== 0;
    // A block's end can be among bits taken before: then a call reaches it without moving.
    if (code !== Z_STREAM_END && !(code === Z_BUF_ERROR && between)) this.#check(code);
    return {
      consumed: input.length - strm.readUInt32LE(AVAIL_IN),
      produced: output.length - strm.readUInt32LE(AVAIL_OUT),
      at: code === Z_STREAM_END ? 'end' : between && (type & LAST_BLOCK) === 0 ? 'block' : 'within',
      unusedBits: type & 7,
    };
  }

  /** A copy of the last content decoded, up to 32 KiB: what matches behind it can refer to. */
  window(): Uint8Array {
    const [window, size] = [Buffer.allocUnsafeSlow(WINDOW_SIZE), Buffer.alloc(4)];
    this.#check(this.#zlib.getDictionary(this.#strm, window, size));
    return window.subarray(0, size.readUInt32LE());
  }

  [Symbol.dispose](): void {
    this.#zlib.end(this.#strm);
  }

  #check(code: unknown): void {
    if (code === Z_OK) return;
    if (code === Z_MEM_ERROR) throw new Error('zlib: out of memory');
    throw new InflateFailure(code === Z_BUF_ERROR ? 'no progress' : 'damaged deflate data');
  }
}
