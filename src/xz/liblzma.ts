import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { dirname, join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type NativeFunction, type NativeLibrary, addressOf, loadNativeLibrary } from '../io/native.js';
import { bindEncoder } from './encode-liblzma.js';
import type { BlockDecoder, DecoderOptions, XzEngine } from './engine.js';
import { LZMA, LzmaFailure, TELL_UNSUPPORTED_CHECK, memlimitFor } from './lzma-result.js';

const NAMES = [
  'liblzma.so.5',
  '/opt/homebrew/opt/xz/lib/liblzma.5.dylib',
  '/usr/local/opt/xz/lib/liblzma.5.dylib',
  '/usr/lib/liblzma.5.dylib',
];

/** The layout of `lzma_stream` below is that of little-endian systems with pointers of 64 bits. */
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64'];

/** 5.2.0 as `lzma_version_number` has it: the oldest with the functions used here and with sane limits. */
const OLDEST = 50_020_000;
/** 5.8.0: since then LZMA is decoded about 1.5 times as fast on x86-64 and ARM64. */
const FAST = 50_080_000;
/** Releases with a back door (CVE-2024-3094), without the last digit, which is the stability. */
const REFUSED = [5_006_000, 5_006_001];

/** Offsets of the fields of `lzma_stream` (lzma/base.h). */
const STREAM_SIZE = 136;
const NEXT_IN = 0;
const AVAIL_IN = 8;
const NEXT_OUT = 24;
const AVAIL_OUT = 32;
const RUN = 0;

interface Liblzma {
  readonly streamDecoder: NativeFunction;
  readonly code: NativeFunction;
  readonly end: NativeFunction;
}

/**
 * The liblzma to use: the system's, or, where that is from before the fast decoder of 5.8, the one that the optional
 * package node-liblzma carries. Undefined when there is none that can be used: no koffi, no library, an ABI that is not
 * known here, older than 5.2.0, or one of the releases with a back door.
 *
 * @throws TSB_TOOL_MISSING when TSBUILDER_LIBLZMA names a library that cannot be used
 */
export function loadLiblzma(): XzEngine | undefined {
  const chosen = process.env['TSBUILDER_LIBLZMA'];
  if (chosen) return loadChosen(chosen);
  const system = loadFrom(NAMES);
  if (system && system.version >= FAST) return system.engine;
  const carried = loadFrom(carriedLibrary());
  return (carried ?? system)?.engine;
}

function loadChosen(path: string): XzEngine {
  const loaded = loadFrom([path]);
  if (loaded) return loaded.engine;
  throw new TsbuilderError('TSB_TOOL_MISSING', `${path}: not a liblzma that can be used`, {
    hint: 'TSBUILDER_LIBLZMA must name a liblzma.so.5, 5.2.0 or newer and neither 5.6.0 nor 5.6.1.',
  });
}

/** An engine, and the number of its library's release. */
interface LoadedLiblzma {
  readonly engine: XzEngine;
  readonly version: number;
}

function loadFrom(names: readonly string[]): LoadedLiblzma | undefined {
  const usable = endianness() === 'LE' && ARCHITECTURES.includes(process.arch);
  const library = usable ? loadNativeLibrary(names) : undefined;
  return library && bindEngine(library);
}

/** The add-on of node-liblzma is linked with all of liblzma and exports its functions; nothing else of it is used. */
function carriedLibrary(): string[] {
  try {
    const main = createRequire(import.meta.url).resolve('node-liblzma');
    return [
      join(dirname(main), '..', 'prebuilds', `${process.platform}-${process.arch}`, 'node-liblzma.node'),
    ];
  } catch {
    return [];
  }
}

function bindEngine(library: NativeLibrary): LoadedLiblzma | undefined {
  try {
    const version = Number(library.bind('uint32_t lzma_version_number()')());
    if (!isAcceptedVersion(version)) return undefined;
    const text = library.bind('const char *lzma_version_string()')();
    const liblzma: Liblzma = {
      streamDecoder: library.bind(
        'int lzma_stream_decoder(uint8_t *strm, uint64_t memlimit, uint32_t flags)',
      ),
      code: library.bind('int lzma_code(uint8_t *strm, int action)'),
      end: library.bind('void lzma_end(uint8_t *strm)'),
    };
    const engine: XzEngine = {
      name: `liblzma ${String(text)} (${library.name})`,
      openDecoder: (options) => new LiblzmaDecoder(liblzma, options),
      encoders: bindEncoder(library),
    };
    return { engine, version };
  } catch {
    // A symbol is missing: not the library it is called.
    return undefined;
  }
}

/** Whether `lzma_version_number()` returning `version` is a release that may be used. */
export function isAcceptedVersion(version: number): boolean {
  return version >= OLDEST && !REFUSED.includes(Math.floor(version / 10));
}

class LiblzmaDecoder implements BlockDecoder {
  readonly #liblzma: Liblzma;
  readonly #options: DecoderOptions;
  /** A `lzma_stream`; all zero is LZMA_STREAM_INIT. Kept from stream to stream, so that liblzma reuses its memory. */
  readonly #strm = Buffer.alloc(STREAM_SIZE);
  readonly #output: Buffer;

  constructor(liblzma: Liblzma, options: DecoderOptions) {
    this.#liblzma = liblzma;
    this.#options = options;
    this.#output = Buffer.allocUnsafeSlow(options.sliceSize);
  }

  async *decode(pieces: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array, void> {
    this.#begin();
    let room = this.#offerOutput(size);
    let done = 0;
    let result: number = LZMA.ok;
    for await (const piece of pieces) {
      if (result === LZMA.streamEnd) throw new LzmaFailure(LZMA.dataError);
      this.#offerInput(piece);
      let full = false;
      do {
        result = await this.#run(piece);
        full = this.#left(AVAIL_OUT) === 0;
        if (!full) continue;
        done += room;
        // One byte more than expected was offered: a block that is too long shows by filling it.
        if (done > size) throw new LzmaFailure(LZMA.bufError);
        yield this.#output.subarray(0, room);
        room = this.#offerOutput(size - done);
      } while (result !== LZMA.streamEnd && (full || this.#left(AVAIL_IN) > 0));
      if (this.#left(AVAIL_IN) > 0) throw new LzmaFailure(LZMA.dataError);
    }
    const rest = room - this.#left(AVAIL_OUT);
    if (result !== LZMA.streamEnd || done + rest !== size) throw new LzmaFailure(LZMA.bufError);
    if (rest > 0) yield this.#output.subarray(0, rest);
  }

  [Symbol.dispose](): void {
    this.#liblzma.end(this.#strm);
  }

  #begin(): void {
    const memlimit = memlimitFor(this.#options.dictionaryLimit);
    const result = this.#liblzma.streamDecoder(this.#strm, memlimit, TELL_UNSUPPORTED_CHECK);
    if (result !== LZMA.ok) throw new LzmaFailure(Number(result));
  }

  #offerInput(piece: Uint8Array): void {
    this.#strm.writeBigUInt64LE(addressOf(piece), NEXT_IN);
    this.#strm.writeBigUInt64LE(BigInt(piece.length), AVAIL_IN);
  }

  /** Points the decoder at the start of the output memory; returns how many bytes it may write there. */
  #offerOutput(expected: number): number {
    const room = Math.min(this.#options.sliceSize, expected + 1);
    this.#strm.writeBigUInt64LE(addressOf(this.#output), NEXT_OUT);
    this.#strm.writeBigUInt64LE(BigInt(room), AVAIL_OUT);
    return room;
  }

  #left(field: typeof AVAIL_IN | typeof AVAIL_OUT): number {
    return Number(this.#strm.readBigUInt64LE(field));
  }

  async #run(piece: Uint8Array): Promise<number> {
    const result = Number(await this.#liblzma.code.inPool([this.#strm, RUN], [piece, this.#output]));
    if (result !== LZMA.ok && result !== LZMA.streamEnd) throw new LzmaFailure(result);
    return result;
  }
}
