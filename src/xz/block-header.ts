import { crc32 } from 'node:zlib';
import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import type { XzBlock } from './block-table.js';
import { VliError, VliReader } from './vli.js';

/** One filter of a block's chain. */
export interface XzFilter {
  readonly id: number;
  /** As the xz tool calls it: `lzma2`, `x86`, `delta` ...; `unknown-0xN` for others. */
  readonly name: string;
  readonly properties: Uint8Array;
}

/** What a block says about itself. */
export interface XzBlockHeader {
  /** Bytes of the header, its CRC32 included. */
  readonly headerSize: number;
  /** Bytes of compressed data, when the header names them. */
  readonly compressedSize: number | undefined;
  readonly uncompressedSize: number | undefined;
  /** In the order of encoding: the last one is LZMA2 in every file that can be decoded. */
  readonly filters: readonly XzFilter[];
  /** Bytes of memory that LZMA2 needs for its dictionary; undefined when the chain has no LZMA2. */
  readonly dictionarySize: number | undefined;
}

const HEADER_MAX = 1024;
const LZMA2 = 0x21;

/** Filter ids of the format and of liblzma's API (xz file format 1.2.1, section 5.3). */
const FILTER_NAMES: Readonly<Record<number, string>> = {
  0x03: 'delta',
  0x04: 'x86',
  0x05: 'powerpc',
  0x06: 'ia64',
  0x07: 'arm',
  0x08: 'armthumb',
  0x09: 'sparc',
  0x0a: 'arm64',
  0x0b: 'riscv',
  [LZMA2]: 'lzma2',
};

/**
 * Reads and parses the header of `block`.
 *
 * @throws TSB_XZ_CORRUPT when it is damaged, TSB_XZ_UNSUPPORTED when it uses flags of a later format
 */
export async function readBlockHeader(
  source: ByteSource,
  block: XzBlock,
  signal?: AbortSignal,
): Promise<XzBlockHeader> {
  const length = Math.min(HEADER_MAX, block.totalSize);
  const data = await source.read(block.compressedOffset, length, signal);
  try {
    return parseBlockHeader(data);
  } catch (error) {
    if (!(error instanceof BlockHeaderError)) throw error;
    throw new TsbuilderError(
      error.unsupported ? 'TSB_XZ_UNSUPPORTED' : 'TSB_XZ_CORRUPT',
      `${source.name}: header of block ${block.number} at offset ${block.compressedOffset}: ${error.message}`,
      { details: { block: block.number, offset: block.compressedOffset } },
    );
  }
}

/** Why bytes are no block header. */
class BlockHeaderError extends Error {
  override readonly name = 'BlockHeaderError';
  constructor(
    message: string,
    readonly unsupported = false,
  ) {
    super(message);
  }
}

/**
 * Parses the block header at the start of `data` (xz file format 1.2.1, section 3.1).
 *
 * @throws BlockHeaderError
 */
export function parseBlockHeader(data: Uint8Array): XzBlockHeader {
  const headerSize = ((data[0] ?? 0) + 1) * 4;
  if (data[0] === undefined || data[0] === 0) throw new BlockHeaderError('no block begins here');
  if (headerSize > data.length) throw new BlockHeaderError('runs past the end of the block');
  const end = headerSize - 4;
  const stored = new DataView(data.buffer, data.byteOffset).getUint32(end, true);
  if (crc32(data.subarray(0, end)) !== stored) throw new BlockHeaderError('wrong CRC32');
  const flags = data[1] ?? 0;
  if ((flags & 0x3c) !== 0) throw new BlockHeaderError('reserved flags are set', true);
  try {
    return parseFields(data, { headerSize, flags });
  } catch (error) {
    if (!(error instanceof VliError)) throw error;
    throw new BlockHeaderError(error.message, error.fault === 'too-large');
  }
}

function parseFields(
  data: Uint8Array,
  { headerSize, flags }: { headerSize: number; flags: number },
): XzBlockHeader {
  const end = headerSize - 4;
  const reader = new VliReader(data, 2, end);
  const compressedSize = (flags & 0x40) === 0 ? undefined : reader.next();
  const uncompressedSize = (flags & 0x80) === 0 ? undefined : reader.next();
  const filters = Array.from({ length: (flags & 0x03) + 1 }, () => parseFilter(data, reader, end));
  if (data.subarray(reader.position, end).some((byte) => byte !== 0))
    throw new BlockHeaderError('padding that is not zero', true);
  const lzma2 = filters.find(({ id }) => id === LZMA2);
  return {
    headerSize,
    compressedSize,
    uncompressedSize,
    filters,
    dictionarySize: lzma2 && dictionarySizeOf(lzma2.properties),
  };
}

function parseFilter(data: Uint8Array, reader: VliReader, end: number): XzFilter {
  const id = reader.next();
  const length = reader.next();
  const start = reader.position;
  if (start + length > end) throw new BlockHeaderError('filter properties run past the end of the header');
  reader.position = start + length;
  return {
    id,
    name: FILTER_NAMES[id] ?? `unknown-0x${id.toString(16)}`,
    properties: data.slice(start, start + length),
  };
}

/** LZMA2's one property byte (section 5.3.1): 2^n or 3 * 2^(n-1) bytes from 4 KiB on, 4 GiB - 1 at most. */
function dictionarySizeOf(properties: Uint8Array): number {
  const bits = properties[0];
  if (bits === undefined || properties.length !== 1 || bits > 40)
    throw new BlockHeaderError('LZMA2 properties that do not exist', true);
  if (bits === 40) return 2 ** 32 - 1;
  return (2 + (bits % 2)) * 2 ** (Math.floor(bits / 2) + 11);
}
