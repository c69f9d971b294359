import { adviseHugePages } from '../io/huge-pages.js';
import { type NativeFunction, type NativeLibrary, addressOf } from '../io/native.js';
import { dictionaryFor, presetNumber } from './encode-options.js';
import { LZMA, LzmaFailure } from './lzma-result.js';

/** How much of a block is handed to liblzma at once: a second's work at most, after which it can be stopped. */
const SLICE = 1024 * 1024;
/** The quick presets do as much in that time, and would lose a seventh to changing threads after each MiB. */
const QUICK_SLICE = 16 * 1024 * 1024;
const QUICK_PRESETS: ReadonlySet<string> = new Set(['0', '1']);

/** The layout of `lzma_stream` (lzma/base.h) on little-endian systems with pointers of 64 bits. */
const STREAM_SIZE = 136;
const NEXT_IN = 0;
const AVAIL_IN = 8;
const NEXT_OUT = 24;
const AVAIL_OUT = 32;
const RUN = 0;
const FINISH = 3;

/** `lzma_options_lzma` (lzma/lzma12.h) has 112 bytes, the size of the dictionary first. */
const OPTIONS_SIZE = 256;
/** `LZMA_FILTER_LZMA2`, and `LZMA_VLI_UNKNOWN`, which ends a list of filters (lzma/filter.h). */
const LZMA2 = 0x21n;
const END_OF_FILTERS = 0xffff_ffff_ffff_ffffn;

/** What an encoder is made for. */
export interface EncoderOptions {
  readonly preset: string;
  /** Content of a block, at most: no dictionary is larger. */
  readonly blockSize: number;
}

/** One encoder. It packs one block after another, never two at once. Dispose it when none is being packed. */
export interface Lzma2Encoder extends Disposable {
  /** LZMA2's property byte: the size of the dictionary. */
  readonly property: number;
  /**
   * Packs `data` into `output` with LZMA2, off the main thread. Before each piece of `data` is packed `onSlice` is told of it, and may
   * throw to stop; nothing native runs any more when the promise settles.
   *
   * @returns bytes of `output` that were used, undefined when there are too few of them
   * @throws LzmaFailure
   */
  encode(
    data: Uint8Array,
    output: Uint8Array,
    onSlice: (slice: Uint8Array) => void,
  ): Promise<number | undefined>;
}

/** The packing half of a liblzma. */
export interface XzEncoderLibrary {
  /** Of liblzma: another may pack to other bytes. */
  readonly version: string;
  openEncoder(options: EncoderOptions): Lzma2Encoder;
  /** Bytes of memory that one encoder takes. */
  memoryOf(options: EncoderOptions): number;
  /** The CRC64 of the format (section 6), as the 8 bytes that are stored. Off the main thread. */
  crc64(data: Uint8Array): Promise<Uint8Array>;
}

interface Functions {
  readonly preset: NativeFunction;
  readonly rawEncoder: NativeFunction;
  readonly memory: NativeFunction;
  readonly code: NativeFunction;
  readonly end: NativeFunction;
}

/** The packing half of `library`. Throws when a function is missing. */
export function bindEncoder(library: NativeLibrary): XzEncoderLibrary {
  const functions: Functions = {
    preset: library.bind('uint8_t lzma_lzma_preset(uint8_t *options, uint32_t preset)'),
    rawEncoder: library.bind('int lzma_raw_encoder(uint8_t *strm, const uint8_t *filters)'),
    memory: library.bind('uint64_t lzma_raw_encoder_memusage(const uint8_t *filters)'),
    code: library.bind('int lzma_code(uint8_t *strm, int action)'),
    end: library.bind('void lzma_end(uint8_t *strm)'),
  };
  const crc64 = library.bind('uint64_t lzma_crc64(const uint8_t *buf, uint64_t size, uint64_t crc)');
  const version = library.bind('const char *lzma_version_string()')();
  return {
    version: String(version),
    openEncoder: (options) => new LiblzmaEncoder(functions, options),
    memoryOf: (options) => Number(functions.memory(makeFilters(functions, options).filters)),
    async crc64(data) {
      const value = await crc64.inPool([data, data.length, 0]);
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(value as number | bigint));
      return bytes;
    },
  };
}

/** A `lzma_filter` list of LZMA2 alone, and what it points to. */
interface Filters {
  readonly filters: Buffer;
  readonly options: Buffer;
  readonly property: number;
}

function makeFilters(functions: Functions, { preset, blockSize }: EncoderOptions): Filters {
  const options = Buffer.alloc(OPTIONS_SIZE);
  if (functions.preset(options, presetNumber(preset)) !== 0) throw new LzmaFailure(LZMA.optionsError);
  // A dictionary larger than the block would cost memory on both sides and find nothing more.
  const { property, size } = dictionaryFor(Math.min(options.readUInt32LE(), blockSize));
  options.writeUInt32LE(size);
  const filters = Buffer.alloc(32);
  filters.writeBigUInt64LE(LZMA2, 0);
  filters.writeBigUInt64LE(addressOf(options), 8);
  filters.writeBigUInt64LE(END_OF_FILTERS, 16);
  return { filters, options, property };
}

class LiblzmaEncoder implements Lzma2Encoder {
  readonly property: number;
  readonly #functions: Functions;
  readonly #filters: Filters;
  readonly #slice: number;
  /** A `lzma_stream`; all zero is LZMA_STREAM_INIT. Kept from block to block, so that liblzma reuses its memory. */
  readonly #strm = Buffer.alloc(STREAM_SIZE);
  #advised = false;

  constructor(functions: Functions, options: EncoderOptions) {
    this.#functions = functions;
    this.#filters = makeFilters(functions, options);
    this.#slice = QUICK_PRESETS.has(options.preset) ? QUICK_SLICE : SLICE;
    this.property = this.#filters.property;
  }

  async encode(
    data: Uint8Array,
    output: Uint8Array,
    onSlice: (slice: Uint8Array) => void,
  ): Promise<number | undefined> {
    const begun = Number(this.#functions.rawEncoder(this.#strm, this.#filters.filters));
    if (begun !== LZMA.ok) throw new LzmaFailure(begun);
    // liblzma has its memory now, and has not touched it: searching for matches jumps all over it.
    if (!this.#advised) adviseHugePages();
    this.#advised = true;
    this.#strm.writeBigUInt64LE(addressOf(output), NEXT_OUT);
    this.#strm.writeBigUInt64LE(BigInt(output.length), AVAIL_OUT);
    for (let at = 0, ended = false; !ended; at += this.#slice) {
      const slice = data.subarray(at, at + this.#slice);
      onSlice(slice);
      const last = at + this.#slice >= data.length;
      ended = await this.#run(slice, { output, action: last ? FINISH : RUN });
      if (!ended && (last || this.#left(AVAIL_IN) > 0)) return undefined;
    }
    return output.length - this.#left(AVAIL_OUT);
  }

  [Symbol.dispose](): void {
    this.#functions.end(this.#strm);
  }

  /** Packs a slice. It is not used up, or the end is not reached, only when there is no output left. */
  async #run(slice: Uint8Array, call: { output: Uint8Array; action: number }): Promise<boolean> {
    this.#strm.writeBigUInt64LE(addressOf(slice), NEXT_IN);
    this.#strm.writeBigUInt64LE(BigInt(slice.length), AVAIL_IN);
    const keep = [slice, call.output, this.#filters.options, this.#filters.filters];
    const result = Number(await this.#functions.code.inPool([this.#strm, call.action], keep));
    if (result !== LZMA.ok && result !== LZMA.streamEnd) throw new LzmaFailure(result);
    return result === LZMA.streamEnd;
  }

  #left(field: typeof AVAIL_IN | typeof AVAIL_OUT): number {
    return Number(this.#strm.readBigUInt64LE(field));
  }
}
