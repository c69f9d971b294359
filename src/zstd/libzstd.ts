import { endianness } from 'node:os';
import { TsbuilderError } from '../errors.js';
import { type NativeFunction, type NativeValue, addressOf, loadNativeLibrary } from '../io/native.js';

const NAMES = [
  'libzstd.so.1',
  '/opt/homebrew/opt/zstd/lib/libzstd.1.dylib',
  '/usr/local/opt/zstd/lib/libzstd.1.dylib',
  'libzstd.1.dylib',
];

/** The layout of the buffer structures is that of little-endian systems with pointers of 64 bits. */
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64'];

/** `ZSTD_inBuffer` and `ZSTD_outBuffer` alike: pointer, size, position. */
const BUFFER_SIZE = 24;
const POINTER = 0;
const SIZE = 8;
const POSITION = 16;

/** libzstd refuses the data. */
export class ZstdFailure extends Error {}

interface Libzstd {
  readonly create: NativeFunction;
  readonly free: NativeFunction;
  readonly reset: NativeFunction;
  readonly decompress: NativeFunction;
  readonly isError: NativeFunction;
  readonly errorName: NativeFunction;
}

let cached: Libzstd | undefined;

/** @throws TSB_TOOL_MISSING */
function loadLibzstd(): Libzstd {
  cached ??= bindLibzstd();
  if (cached) return cached;
  throw new TsbuilderError(
    'TSB_TOOL_MISSING',
    'libzstd.so.1, which zstd files are read with, cannot be loaded',
    {
      hint: 'Install it: apt-get install libzstd1; or decompress the image first: unzstd FILE',
    },
  );
}

function bindLibzstd(): Libzstd | undefined {
  const usable = endianness() === 'LE' && ARCHITECTURES.includes(process.arch);
  const library = usable ? loadNativeLibrary(NAMES) : undefined;
  if (!library) return undefined;
  try {
    return {
      create: library.bind('uint64_t ZSTD_createDStream()'),
      free: library.bind('size_t ZSTD_freeDStream(uint64_t stream)'),
      reset: library.bind('size_t ZSTD_DCtx_reset(uint64_t stream, int what)'),
      decompress: library.bind(
        'size_t ZSTD_decompressStream(uint64_t stream, uint8_t *output, uint8_t *input)',
      ),
      isError: library.bind('unsigned int ZSTD_isError(size_t code)'),
      errorName: library.bind('const char *ZSTD_getErrorName(size_t code)'),
    };
  } catch {
    // A symbol is missing: older than 1.4.0.
    return undefined;
  }
}

/** What one call did. */
export interface DecompressResult {
  readonly consumed: number;
  readonly produced: number;
  /** The frame is decoded completely, its checksum was right, and nothing of it is left to be written out. */
  readonly ended: boolean;
}

/** A decoder of zstd frames. One call at a time; dispose it when none is running. */
export class ZstdDecoder implements Disposable {
  readonly #libzstd: Libzstd;
  readonly #stream: NativeValue;
  readonly #input = Buffer.alloc(BUFFER_SIZE);
  readonly #output = Buffer.alloc(BUFFER_SIZE);

  /** @throws TSB_TOOL_MISSING */
  constructor() {
    this.#libzstd = loadLibzstd();
    this.#stream = this.#libzstd.create();
    if (Number(this.#stream) === 0) throw new Error('zstd: out of memory');
  }

  /** Makes it ready for a frame, whatever became of the one before. */
  begin(): void {
    const sessionOnly = 1;
    this.#check(this.#libzstd.reset(this.#stream, sessionOnly));
  }

  /**
   * Decodes, in the pool, until the output is full, the input used up or the frame at its end. The input may be empty: what the decoder
   * still holds is then written out.
   *
   * @throws ZstdFailure
   */
  async run(input: Uint8Array, output: Uint8Array): Promise<DecompressResult> {
    describe(this.#input, input);
    describe(this.#output, output);
    const { decompress } = this.#libzstd;
    const code = await decompress.inPool([this.#stream, this.#output, this.#input], [input, output]);
    this.#check(code);
    return {
      consumed: Number(this.#input.readBigUInt64LE(POSITION)),
      produced: Number(this.#output.readBigUInt64LE(POSITION)),
      ended: Number(code) === 0,
    };
  }

  [Symbol.dispose](): void {
    this.#libzstd.free(this.#stream);
  }

  #check(code: NativeValue): void {
    if (this.#libzstd.isError(code) === 0) return;
    throw new ZstdFailure(String(this.#libzstd.errorName(code)));
  }
}

function describe(structure: Buffer, memory: Uint8Array): void {
  structure.writeBigUInt64LE(memory.length === 0 ? 0n : addressOf(memory), POINTER);
  structure.writeBigUInt64LE(BigInt(memory.length), SIZE);
  structure.writeBigUInt64LE(0n, POSITION);
}
