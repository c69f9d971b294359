import { endianness } from 'node:os';
import { TsbuilderError } from '../errors.js';
import { type NativeFunction, type NativeLibrary, loadNativeLibrary } from '../io/native.js';

const NAMES = ['libz.so.1', 'libz.1.dylib', '/usr/lib/libz.1.dylib'];

/** The layout of `z_stream` in `inflater` is that of little-endian systems with pointers and longs of 64 bits. */
const ARCHITECTURES = ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64'];

/**
 * The functions of zlib that decode, from its manual. Node.js's own zlib module cannot tell bit positions and cannot restart at one.
 */
export interface Zlib {
  readonly init: NativeFunction;
  readonly inflate: NativeFunction;
  readonly reset: NativeFunction;
  readonly prime: NativeFunction;
  readonly setDictionary: NativeFunction;
  readonly getDictionary: NativeFunction;
  readonly end: NativeFunction;
}

let cached: Zlib | undefined;

/**
 * The system's zlib.
 *
 * @throws TSB_TOOL_MISSING when there is none that can be used
 */
export function loadZlib(): Zlib {
  const usable = endianness() === 'LE' && ARCHITECTURES.includes(process.arch);
  const library = usable && !cached ? loadNativeLibrary(NAMES) : undefined;
  cached ??= library && bindZlib(library);
  if (cached) return cached;
  throw new TsbuilderError(
    'TSB_TOOL_MISSING',
    'libz.so.1, which gzip files are read with, cannot be loaded',
    {
      hint: 'Install it: apt-get install zlib1g; or decompress the image first: gunzip FILE',
    },
  );
}

function bindZlib(library: NativeLibrary): Zlib | undefined {
  try {
    return {
      init: library.bind('int inflateInit2_(uint8_t *strm, int bits, const char *version, int size)'),
      inflate: library.bind('int inflate(uint8_t *strm, int flush)'),
      reset: library.bind('int inflateReset(uint8_t *strm)'),
      prime: library.bind('int inflatePrime(uint8_t *strm, int bits, int value)'),
      setDictionary: library.bind(
        'int inflateSetDictionary(uint8_t *strm, const uint8_t *window, unsigned int size)',
      ),
      getDictionary: library.bind('int inflateGetDictionary(uint8_t *strm, uint8_t *window, uint32_t *size)'),
      end: library.bind('int inflateEnd(uint8_t *strm)'),
    };
  } catch {
    // A symbol is missing: older than 1.2.8.
    return undefined;
  }
}
