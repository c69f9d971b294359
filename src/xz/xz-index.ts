import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { type XzIndex, type XzStream, buildXzIndex } from './block-table.js';
import {
  type IndexField,
  IndexFieldError,
  INDEX_HEAD,
  parseIndexField,
  parseRecordCount,
} from './index-field.js';
import { STREAM_EDGE, isXz, parseStreamFooter, parseStreamHeader } from './stream-flags.js';

export type { XzBlock, XzIndex, XzStream } from './block-table.js';
export { checkName, isXz } from './stream-flags.js';

/** Bounds on what a hostile index can make us hold in memory. */
export interface XzIndexOptions {
  /** Blocks of all streams together. 24 bytes of memory each. */
  readonly maxRecords?: number | undefined;
  /** Bytes of one stream's index field. */
  readonly maxIndexBytes?: number | undefined;
  readonly maxStreams?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const MAX_RECORDS = 1024 * 1024;
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const MAX_STREAMS = 64 * 1024;
/** The first read, which most often has footer and index in it; each further one takes twice as much. */
const FIRST_WINDOW = 4 * 1024;
const WINDOW = 64 * 1024;
const PIECE = 1024 * 1024;

interface Walk {
  readonly source: ByteSource;
  readonly limits: { readonly records: number; readonly indexBytes: number; readonly streams: number };
  readonly read: (offset: number, length: number) => Promise<Uint8Array>;
}

/** A stream as found from its footer: offsets of its edges and the records of its blocks. */
interface FoundStream {
  readonly offset: number;
  readonly end: number;
  readonly check: number;
  readonly indexSize: number;
  readonly padding: number;
  readonly field: IndexField;
}

/**
 * Reads where all blocks of an xz file are, from the last stream's footer backwards. Only footers, indexes and stream headers
 * are read. Every CRC32, limit and sum is checked, so that the blocks of the result tile the file exactly.
 *
 * @throws TSB_XZ_CORRUPT when the file is damaged, truncated or has trailing bytes; TSB_XZ_LIMIT when the index claims more
 *   than the limits; TSB_XZ_UNSUPPORTED for stream flags of a later format
 */
export async function readXzIndex(source: ByteSource, options: XzIndexOptions = {}): Promise<XzIndex> {
  const walk: Walk = {
    source,
    limits: {
      records: options.maxRecords ?? MAX_RECORDS,
      indexBytes: options.maxIndexBytes ?? MAX_INDEX_BYTES,
      streams: options.maxStreams ?? MAX_STREAMS,
    },
    read: windowReader(source, options.signal),
  };
  if (source.size % 4 !== 0 || source.size === 0) await refuseLength(walk);
  const found: FoundStream[] = [];
  let records = 0;
  for (let end = source.size; end > 0; end = found.at(-1)?.offset ?? 0) {
    const stream = await readStream(walk, end, records);
    records += stream.field.unpaddedSizes.length;
    found.push(stream);
    if (found.length > walk.limits.streams)
      throw tooMany(walk, 'streams', { found: found.length, limit: walk.limits.streams });
  }
  return assemble(walk, found.reverse());
}

/** Whether two indexes describe the same file: same size, streams, blocks and checks. */
export function sameXzIndex(a: XzIndex, b: XzIndex): boolean {
  if (a === b) return true;
  if (a.compressedSize !== b.compressedSize || a.blockCount !== b.blockCount) return false;
  if (JSON.stringify(a.streams) !== JSON.stringify(b.streams)) return false;
  for (let number = 0; number < a.blockCount; number += 1) {
    const [left, right] = [a.block(number), b.block(number)];
    if (left.unpaddedSize !== right.unpaddedSize || left.uncompressedSize !== right.uncompressedSize)
      return false;
  }
  return true;
}

async function readStream(walk: Walk, paddedEnd: number, recordsBehind: number): Promise<FoundStream> {
  const end = await skipPadding(walk, paddedEnd);
  const footer = await readFooter(walk, end);
  const indexOffset = end - STREAM_EDGE - footer.indexSize;
  if (indexOffset < STREAM_EDGE)
    throw corrupt(walk, end - STREAM_EDGE, 'a footer whose index would begin before the file');
  const field = await readIndexField(walk, { offset: indexOffset, size: footer.indexSize, recordsBehind });
  const offset = indexOffset - field.blocksSize - STREAM_EDGE;
  if (offset < 0) throw corrupt(walk, indexOffset, `an index of blocks that take ${field.blocksSize} bytes`);
  await checkHeader(walk, offset, footer.check);
  return { offset, end, check: footer.check, indexSize: footer.indexSize, padding: paddedEnd - end, field };
}

/** The offset at which a stream ends whose stream padding (zeros, four by four) ends at `end`. */
async function skipPadding(walk: Walk, end: number): Promise<number> {
  let position = end;
  for (let size = FIRST_WINDOW; position >= 4; size = Math.min(WINDOW, size * 2)) {
    const length = Math.min(size, position);
    const window = await walk.read(position - length, length);
    const last = window.findLastIndex((byte) => byte !== 0);
    if (last >= 0) return position - length + Math.ceil((last + 1) / 4) * 4;
    position -= length;
  }
  throw corrupt(walk, 0, 'only zero bytes');
}

async function readFooter(walk: Walk, end: number): Promise<{ check: number; indexSize: number }> {
  const offset = end - STREAM_EDGE;
  if (offset < STREAM_EDGE) throw corrupt(walk, 0, `only ${end} bytes, too few for a stream`);
  const footer = parseStreamFooter(await walk.read(offset, STREAM_EDGE));
  if (!('fault' in footer)) return footer;
  if (footer.fault === 'flags') throw unsupported(walk, offset);
  if (footer.fault === 'crc') throw corrupt(walk, offset, 'a stream footer with a wrong CRC32');
  await refuseOtherFormat(walk);
  throw corrupt(walk, offset, 'no stream footer: the file is truncated or has bytes behind its end');
}

async function checkHeader(walk: Walk, offset: number, check: number): Promise<void> {
  const header = parseStreamHeader(await walk.read(offset, STREAM_EDGE));
  if (!('fault' in header)) {
    if (header.check === check) return;
    throw corrupt(walk, offset, 'a stream header and footer that name different checks');
  }
  if (header.fault === 'flags') throw unsupported(walk, offset);
  if (header.fault === 'crc') throw corrupt(walk, offset, 'a stream header with a wrong CRC32');
  throw corrupt(walk, offset, 'no stream header where the index says that the stream begins');
}

async function readIndexField(
  walk: Walk,
  { offset, size, recordsBehind }: { offset: number; size: number; recordsBehind: number },
): Promise<IndexField> {
  if (size > walk.limits.indexBytes)
    throw tooMany(walk, 'bytes of index', { found: size, limit: walk.limits.indexBytes });
  try {
    const head = await walk.read(offset, Math.min(PIECE, size));
    const count = parseRecordCount(head.subarray(0, INDEX_HEAD), size);
    if (recordsBehind + count > walk.limits.records)
      throw tooMany(walk, 'blocks', { found: recordsBehind + count, limit: walk.limits.records });
    const data = new Uint8Array(size);
    data.set(head);
    for (let at = head.length; at < size; at += PIECE)
      data.set(await walk.read(offset + at, Math.min(PIECE, size - at)), at);
    return parseIndexField(data);
  } catch (error) {
    if (!(error instanceof IndexFieldError)) throw error;
    if (error.tooLarge)
      throw new TsbuilderError(
        'TSB_XZ_LIMIT',
        `${walk.source.name}: the index at offset ${offset} has ${error.message}`,
      );
    throw corrupt(walk, offset + error.offset, `a damaged index: ${error.message}`);
  }
}

function assemble(walk: Walk, found: readonly FoundStream[]): XzIndex {
  const records = found.reduce((sum, stream) => sum + stream.field.unpaddedSizes.length, 0);
  const unpaddedSizes = new Float64Array(records);
  const uncompressedSizes = new Float64Array(records);
  const streams: XzStream[] = [];
  let uncompressedOffset = 0;
  let firstBlock = 0;
  for (const { offset, end, check, indexSize, padding, field } of found) {
    unpaddedSizes.set(field.unpaddedSizes, firstBlock);
    uncompressedSizes.set(field.uncompressedSizes, firstBlock);
    const blockCount = field.unpaddedSizes.length;
    const { uncompressedSize } = field;
    const compressedSize = end - offset;
    streams.push({
      compressedOffset: offset,
      compressedSize,
      uncompressedOffset,
      uncompressedSize,
      firstBlock,
      blockCount,
      check,
      indexSize,
      padding,
    });
    firstBlock += blockCount;
    uncompressedOffset += uncompressedSize;
    if (!Number.isSafeInteger(uncompressedOffset))
      throw tooMany(walk, 'bytes of content', { found: uncompressedOffset, limit: Number.MAX_SAFE_INTEGER });
  }
  return buildXzIndex(walk.source.size, streams, { unpaddedSizes, uncompressedSizes });
}

/**
 * Reads of a file from its end towards its beginning, through one window: footer, index and the header of the stream in
 * front of it usually come in one read of the source.
 */
function windowReader(source: ByteSource, signal: AbortSignal | undefined): Walk['read'] {
  let start = 0;
  let window = new Uint8Array(0);
  let size = FIRST_WINDOW;
  return async (offset, length) => {
    if (offset < start || offset + length > start + window.length) {
      start = Math.max(0, Math.min(offset, offset + length - size));
      size = Math.min(WINDOW, size * 2);
      window = new Uint8Array(await source.read(start, offset + length - start, signal));
    }
    return window.subarray(offset - start, offset - start + length);
  };
}

async function refuseLength(walk: Walk): Promise<never> {
  if (walk.source.size === 0) throw corrupt(walk, 0, 'an empty file');
  await refuseOtherFormat(walk);
  throw corrupt(
    walk,
    walk.source.size,
    'a length that is no multiple of 4: the file is truncated or has bytes behind its end',
  );
}

async function refuseOtherFormat(walk: Walk): Promise<void> {
  const head = await walk.read(0, Math.min(STREAM_EDGE, walk.source.size));
  if (!isXz(head)) throw new TsbuilderError('TSB_XZ_CORRUPT', `${walk.source.name}: not an xz file`);
}

function corrupt(walk: Walk, offset: number, what: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_XZ_CORRUPT',
    `${walk.source.name}: damaged xz file: ${what} (offset ${offset})`,
    {
      hint: 'Get the file again, or test it with: xz -t FILE',
      details: { offset, size: walk.source.size },
    },
  );
}

function unsupported(walk: Walk, offset: number): TsbuilderError {
  return new TsbuilderError(
    'TSB_XZ_UNSUPPORTED',
    `${walk.source.name}: the stream flags at offset ${offset} are of a later version of the xz format`,
    { details: { offset } },
  );
}

function tooMany(
  walk: Walk,
  what: string,
  { found, limit }: { found: number; limit: number },
): TsbuilderError {
  return new TsbuilderError(
    'TSB_XZ_LIMIT',
    `${walk.source.name}: the xz index has ${found} ${what}, the limit is ${limit}`,
    {
      hint: 'Compress the image again with larger blocks, such as: xz -T0 --block-size=16MiB',
      details: { found, limit },
    },
  );
}
