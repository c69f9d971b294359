import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { TsbuilderError } from '../errors.js';
import { type NativeLibrary, loadNativeLibrary } from '../io/native.js';
import type { Qcow2Compression } from './qcow2-format.js';

/** Packs and unpacks single clusters. */
export interface ClusterCodec {
  pack(data: Uint8Array): Promise<Uint8Array>;
  /** At most `length` bytes of content; bytes behind the packed data are ignored. Rejects on damaged data. */
  unpack(data: Uint8Array, length: number): Promise<Uint8Array>;
}

/**
 * The codec of a qcow2 compression type.
 *
 * @throws TSB_TOOL_MISSING when zstd is asked for and neither libzstd nor a Node.js with zstd is there
 */
export function clusterCodec(compression: Qcow2Compression): ClusterCodec {
  if (compression === 'zlib') return zlibCodec;
  const codec = libzstdCodec() ?? nodeZstdCodec();
  if (codec) return codec;
  throw new TsbuilderError(
    'TSB_TOOL_MISSING',
    'zstd: neither libzstd.so.1 nor a Node.js with zstd was found',
    {
      hint: 'Use zlib compression, install libzstd (Debian: libzstd1), or run Node.js 22.15 or newer.',
    },
  );
}

const deflate = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);
const inflate = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);

const zlibCodec: ClusterCodec = {
  // QEMU unpacks with a window of 4 KiB: a longer distance would be an error there.
  pack: (data) => deflate(data, { windowBits: 12, memLevel: 9 }),
  unpack: (data, length) => inflate(data, { windowBits: 12, maxOutputLength: length }),
};

const ZSTD_LEVEL = 3;
let libzstd: { codec: ClusterCodec | undefined } | undefined;

function libzstdCodec(): ClusterCodec | undefined {
  libzstd ??= { codec: loadLibzstd() };
  return libzstd.codec;
}

function loadLibzstd(): ClusterCodec | undefined {
  const library = loadNativeLibrary(['libzstd.so.1', 'libzstd.1.dylib']);
  return library && nativeCodec(library);
}

function nativeCodec(library: NativeLibrary): ClusterCodec {
  const bound = library.bind('size_t ZSTD_compressBound(size_t size)');
  const compress = library.bind(
    'size_t ZSTD_compress(uint8_t *to, size_t room, const uint8_t *from, size_t size, int level)',
  );
  const decompress = library.bind(
    'size_t ZSTD_decompress(uint8_t *to, size_t room, const uint8_t *from, size_t size)',
  );
  const frameSize = library.bind('size_t ZSTD_findFrameCompressedSize(const uint8_t *from, size_t size)');
  const isError = library.bind('unsigned int ZSTD_isError(size_t code)');
  const checked = (code: unknown): number => {
    if (isError(code as number | bigint) !== 0) throw new Error('zstd: damaged or unsupported data');
    return Number(code);
  };
  return {
    async pack(data) {
      const room = Number(bound(data.length));
      const packed = Buffer.allocUnsafeSlow(room);
      const size = await compress.inPool([packed, room, data, data.length, ZSTD_LEVEL]);
      return packed.subarray(0, checked(size));
    },
    async unpack(data, length) {
      const frame = checked(frameSize(data, data.length));
      const content = Buffer.allocUnsafeSlow(length);
      const size = await decompress.inPool([content, length, data, frame]);
      return content.subarray(0, checked(size));
    },
  };
}

type ZstdCall = (
  data: Uint8Array,
  options: object,
  done: (error: Error | null, data: Buffer) => void,
) => void;

/** Node.js has zstd from 22.15 on. */
function nodeZstdCodec(): ClusterCodec | undefined {
  const { zstdCompress, zstdDecompress } = zlib as { zstdCompress?: ZstdCall; zstdDecompress?: ZstdCall };
  if (!zstdCompress || !zstdDecompress) return undefined;
  const compress = promisify(zstdCompress);
  const decompress = promisify(zstdDecompress);
  return {
    pack: (data) => compress(data, {}),
    unpack: (data, length) => decompress(data, { maxOutputLength: length }),
  };
}
