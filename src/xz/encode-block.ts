import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { padTo4 } from './block-table.js';
import type { Lzma2Encoder, XzEncoderLibrary } from './encode-liblzma.js';
import { type XzCheck, checkOf } from './encode-options.js';
import { encodeVli } from './vli.js';

/** A block as it is written, and what the index records of it. */
export interface EncodedBlock {
  /** Header, data, padding and check: the pieces, in order. */
  readonly bytes: Uint8Array;
  readonly unpaddedSize: number;
  readonly uncompressedSize: number;
  /** SHA-256 of the content. */
  readonly digest: Uint8Array;
}

/** What a block is packed with. */
export interface BlockTools {
  readonly library: XzEncoderLibrary;
  readonly encoder: Lzma2Encoder;
  readonly check: XzCheck;
  /** Memory for the packed data: `packedBound` of the largest block. */
  readonly output: Uint8Array;
  /** Told of each piece of content before it is packed; may throw to stop. */
  readonly onSlice: (bytes: number) => void;
}

/** Content of one LZMA2 chunk that is stored as it is, and the header in front of it (section 5.3.1 and LZMA2 itself). */
const STORED_CHUNK = 64 * 1024;
const STORED_HEADER = 3;
const STORED_FIRST = 0x01;
const STORED = 0x02;

/** Longest data that `size` bytes of content can be packed to: all of it stored, and the byte that ends LZMA2. */
export function packedBound(size: number): number {
  return size + Math.ceil(size / STORED_CHUNK) * STORED_HEADER + 1;
}

/**
 * Packs `content` as one block with both sizes in its header. What would become larger is stored.
 *
 * @throws LzmaFailure, and what `onSlice` throws
 */
export async function encodeBlock(content: Uint8Array, tools: BlockTools): Promise<EncodedBlock> {
  const { encoder, output, check } = tools;
  const hash = createHash('sha256');
  const bound = packedBound(content.length);
  const length = await encoder.encode(content, output.subarray(0, bound), (slice) => {
    tools.onSlice(slice.length);
    hash.update(slice);
  });
  const packedSize = length ?? storeChunks(content, output);
  const digest = hash.digest();
  const header = blockHeader({ packedSize, size: content.length, property: encoder.property });
  const stored = await checkBytes(content, { ...tools, digest });
  const padding = Buffer.alloc(padTo4(packedSize) - packedSize);
  return {
    bytes: Buffer.concat([header, output.subarray(0, packedSize), padding, stored]),
    unpaddedSize: header.length + packedSize + checkOf(check).size,
    uncompressedSize: content.length,
    digest,
  };
}

async function checkBytes(
  content: Uint8Array,
  { check, library, digest }: Pick<BlockTools, 'check' | 'library'> & { digest: Uint8Array },
): Promise<Uint8Array> {
  if (check === 'sha256') return digest;
  if (check === 'crc64') return library.crc64(content);
  const bytes = Buffer.alloc(checkOf(check).size);
  if (check === 'crc32') bytes.writeUInt32LE(crc32(content));
  return bytes;
}

/** A block header (section 3.1): one filter, LZMA2, and both sizes. */
export function blockHeader(block: { packedSize: number; size: number; property: number }): Buffer {
  const { packedSize, size, property } = block;
  const bothSizes = 0xc0;
  const lzma2 = [0x21, 1, property];
  const fields = [0, bothSizes, ...encodeVli(packedSize), ...encodeVli(size), ...lzma2];
  const header = Buffer.alloc(padTo4(fields.length) + 4);
  header.set(fields);
  header[0] = header.length / 4 - 1;
  header.writeUInt32LE(crc32(header.subarray(0, -4)), header.length - 4);
  return header;
}

/** Writes `content` to `output` as LZMA2 chunks that are not packed. @returns their length */
function storeChunks(content: Uint8Array, output: Uint8Array): number {
  let to = 0;
  for (let at = 0; at < content.length; at += STORED_CHUNK) {
    const chunk = content.subarray(at, at + STORED_CHUNK);
    const size = chunk.length - 1;
    output.set([at === 0 ? STORED_FIRST : STORED, size >> 8, size & 0xff], to);
    output.set(chunk, to + STORED_HEADER);
    to += STORED_HEADER + chunk.length;
  }
  output[to] = 0;
  return to + 1;
}
