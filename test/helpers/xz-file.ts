import { crc32 } from 'node:zlib';
import { padTo4 } from '../../src/xz/block-table.js';
import { encodeStreamFooter, encodeStreamHeader } from '../../src/xz/stream-flags.js';
import { encodeVli } from '../../src/xz/vli.js';

/** An index field with these records and a right CRC32; `count` may lie. */
export function indexField(records: readonly (readonly [number, number])[], count = records.length): Buffer {
  const body = [0, ...encodeVli(count), ...records.flatMap((record) => record.flatMap(encodeVli))];
  return sealIndex(body);
}

/** Pads the bytes of an index and puts the CRC32 behind. */
export function sealIndex(body: readonly number[]): Buffer {
  const field = Buffer.alloc(padTo4(body.length) + 4);
  field.set(body);
  field.writeUInt32LE(crc32(field.subarray(0, -4)), field.length - 4);
  return field;
}

/** A stream around `blocks` (any bytes) and `index`, with right header and footer. */
export function streamOf(blocks: Uint8Array, index: Uint8Array, check = 4): Buffer {
  return Buffer.concat([encodeStreamHeader(check), blocks, index, encodeStreamFooter(check, index.length)]);
}

/** A stream whose blocks have these unpadded and uncompressed sizes and no meaning. */
export function streamWith(records: readonly (readonly [number, number])[], check = 4): Buffer {
  const size = records.reduce((sum, [unpadded]) => sum + padTo4(unpadded), 0);
  return streamOf(Buffer.alloc(size, 1), indexField(records), check);
}
