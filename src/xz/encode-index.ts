import { crc32 } from 'node:zlib';
import { padTo4 } from './block-table.js';
import { encodeStreamFooter } from './stream-flags.js';
import { encodeVli } from './vli.js';

/** What an index records of a block. */
interface IndexRecord {
  readonly unpaddedSize: number;
  readonly uncompressedSize: number;
}

/** The end of a stream: the index of its blocks and the footer (xz file format 1.2.1, sections 4 and 2.1.2). */
export function encodeStreamEnd(blocks: readonly IndexRecord[], check: number): Buffer {
  const bytes = [0, ...encodeVli(blocks.length)];
  for (const { unpaddedSize, uncompressedSize } of blocks)
    bytes.push(...encodeVli(unpaddedSize), ...encodeVli(uncompressedSize));
  const index = Buffer.alloc(padTo4(bytes.length) + 4);
  index.set(bytes);
  index.writeUInt32LE(crc32(index.subarray(0, -4)), index.length - 4);
  return Buffer.concat([index, encodeStreamFooter(check, index.length)]);
}
