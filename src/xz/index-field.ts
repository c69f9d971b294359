import { crc32 } from 'node:zlib';
import { VliError, VliReader } from './vli.js';
import { type BlockRecords, padTo4 } from './block-table.js';

/** Index indicator, the longest record count: what is read of an index before anything is allocated for it. */
export const INDEX_HEAD = 10;

/** Smallest unpadded size: a block header of 8 bytes cannot be had for less (xz file format, section 4.3). */
const UNPADDED_MIN = 5;

/** What an index field says, with the sums over its records. */
export interface IndexField extends BlockRecords {
  /** Bytes of all blocks of the stream with their padding. */
  readonly blocksSize: number;
  readonly uncompressedSize: number;
}

/** An index field that breaks the format; `offset` counts from the field's first byte. */
export class IndexFieldError extends Error {
  override readonly name = 'IndexFieldError';
  constructor(
    message: string,
    readonly offset: number,
    readonly tooLarge = false,
  ) {
    super(message);
  }
}

/**
 * The number of records that an index field claims, from its first bytes (at least `INDEX_HEAD`, or the whole field).
 *
 * @throws IndexFieldError when it is no index, or claims more records than fit in a field of `indexSize` bytes
 */
export function parseRecordCount(head: Uint8Array, indexSize: number): number {
  if (head[0] !== 0) throw new IndexFieldError('no index here', 0);
  const count = nextNumber(new VliReader(head, 1));
  // Two bytes a record at least, one in front, four behind.
  if (count * 2 > indexSize - 6)
    throw new IndexFieldError(`claims ${count} blocks in an index of ${indexSize} bytes`, 1);
  return count;
}

/**
 * Parses a whole index field (xz file format 1.2.1, section 4).
 *
 * @throws IndexFieldError when its CRC32, padding, a number or a sum is wrong
 */
export function parseIndexField(data: Uint8Array): IndexField {
  const end = data.length - 4;
  const stored = new DataView(data.buffer, data.byteOffset).getUint32(end, true);
  if (crc32(data.subarray(0, end)) !== stored) throw new IndexFieldError('wrong CRC32', end);
  const count = parseRecordCount(data, data.length);
  const reader = new VliReader(data, 1, end);
  nextNumber(reader);
  const field = parseRecords(reader, count);
  if (reader.position !== end && padTo4(reader.position) !== end)
    throw new IndexFieldError('bytes left over behind the last record', reader.position);
  if (data.subarray(reader.position, end).some((byte) => byte !== 0))
    throw new IndexFieldError('padding that is not zero', reader.position);
  return field;
}

function parseRecords(reader: VliReader, count: number): IndexField {
  const unpaddedSizes = new Float64Array(count);
  const uncompressedSizes = new Float64Array(count);
  let blocksSize = 0;
  let uncompressedSize = 0;
  for (let number = 0; number < count; number += 1) {
    const unpadded = nextNumber(reader);
    if (unpadded < UNPADDED_MIN) throw new IndexFieldError(`a block of ${unpadded} bytes`, reader.position);
    const uncompressed = nextNumber(reader);
    unpaddedSizes[number] = unpadded;
    uncompressedSizes[number] = uncompressed;
    blocksSize += padTo4(unpadded);
    uncompressedSize += uncompressed;
    if (!Number.isSafeInteger(blocksSize) || !Number.isSafeInteger(uncompressedSize))
      throw new IndexFieldError(
        `sizes that add up to more than ${Number.MAX_SAFE_INTEGER}`,
        reader.position,
        true,
      );
  }
  return { unpaddedSizes, uncompressedSizes, blocksSize, uncompressedSize };
}

function nextNumber(reader: VliReader): number {
  try {
    return reader.next();
  } catch (error) {
    if (!(error instanceof VliError)) throw error;
    throw new IndexFieldError(error.message, reader.position, error.fault === 'too-large');
  }
}
