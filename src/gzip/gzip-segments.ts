import { crc32 } from 'node:zlib';
import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { InputCursor } from '../io/input-cursor.js';
import type { DecodeSegmentOptions, SegmentedContent } from '../io/segments.js';
import { segmentTable } from '../io/segment-table.js';
import { type FirstPassOptions, type GzipMap, passOverGzip } from './first-pass.js';
import { Inflater } from './inflater.js';
import { MemberReader } from './member-reader.js';
import type { SeekPlace } from './seek-points.js';

export { isGzip } from './gzip-header.js';

const SEEK_POINT_BYTES = 4 * 1024 * 1024;
/** Small, because a read waits for half a slice too much on average. */
const SLICE = 256 * 1024;

/** How a gzip file is opened. */
export interface GzipSegmentsOptions extends Omit<FirstPassOptions, 'seekPointBytes'> {
  /** Bytes of content between two seek points, at least. Default: 4 MiB. */
  readonly seekPointBytes?: number | undefined;
}

/**
 * The content of a gzip file (RFC 1952), of one member or many, for random access. Opening decodes the whole file once, which tells the
 * size and verifies everything; on the way the decoder's state is noted every few MiB. The segments are what lies between two such
 * seek points: decoding one begins at its point, not at the file's beginning. Memory for the points: at most 64 MiB.
 *
 * Disposing the result disposes `source`; when opening fails it stays open.
 *
 * @throws TSB_GZIP_CORRUPT when the file is damaged, truncated, or has bytes behind its end that are not zero; TSB_TOOL_MISSING without
 *   zlib; what the source and the sink throw. `decode` throws TSB_CONTENT_CHANGED when the file is no longer what it was
 */
export async function openGzipSegments(
  source: ByteSource,
  options: GzipSegmentsOptions = {},
): Promise<SegmentedContent> {
  const map = await passOverGzip(source, {
    ...options,
    seekPointBytes: options.seekPointBytes ?? SEEK_POINT_BYTES,
  });
  const table = segmentTable(map.points.offsets(map.size));
  return {
    ...table,
    name: source.name,
    async *decode(number, { signal }) {
      const { size } = table.segment(number);
      const place = map.points.place(number);
      if (map.points.isZero(number)) yield* zeros(size, signal);
      else yield* guarded(decodeStretch({ source, map, number, size, signal }), source, place);
    },
    isZero: (number) => Promise.resolve(map.points.isZero(number)),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

interface Decoding extends DecodeSegmentOptions {
  readonly source: ByteSource;
  readonly map: GzipMap;
  readonly number: number;
  readonly size: number;
}

async function* decodeStretch(decoding: Decoding): AsyncGenerator<Uint8Array, void> {
  const { source, map, number, size, signal } = decoding;
  const place = map.points.place(number);
  const next = number + 1 < map.points.count ? map.points.place(number + 1) : undefined;
  const to = next ? next.offset + Math.sign(next.bits) : map.end;
  const crcBehind = next?.crc ?? map.crc;
  using inflater = new Inflater();
  await using cursor = new InputCursor(source, { from: place.offset, to, signal });
  const [first = 0] = place.bits > 0 ? await cursor.take(1) : [];
  inflater.resume({ bits: place.bits, window: map.points.window(number) }, first);
  const reader = new MemberReader(source.name, cursor, inflater);
  const output = Buffer.allocUnsafeSlow(Math.min(SLICE, size));
  let crc = place.crc;
  for (let done = 0; done < size;) {
    const { length, by } = await reader.fill(output.subarray(0, Math.min(SLICE, size - done)), 'end');
    signal?.throwIfAborted();
    const data = output.subarray(0, length);
    crc = crc32(data, crc);
    done += length;
    // The last slice proves all: it waits for the proof.
    if (done === size && crc !== crcBehind) throw changed(source, place);
    if (length > 0) yield data;
    if (done < size && by === 'member') await nextMember(reader, source, place);
  }
}

async function nextMember(reader: MemberReader, source: ByteSource, place: SeekPlace): Promise<void> {
  await reader.readTrailer();
  if (!(await reader.openMember())) throw changed(source, place);
}

/** Once the whole file was right: what is wrong with it now was not wrong then. */
async function* guarded(
  slices: AsyncGenerator<Uint8Array, void>,
  source: ByteSource,
  place: SeekPlace,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* slices;
  } catch (error) {
    if (error instanceof TsbuilderError && error.code === 'TSB_GZIP_CORRUPT')
      throw changed(source, place, error);
    throw error;
  }
}

function* zeros(size: number, signal: AbortSignal | undefined): Generator<Uint8Array, void> {
  const output = Buffer.alloc(Math.min(SLICE, size));
  for (let done = 0; done < size; done += SLICE) {
    signal?.throwIfAborted();
    yield output.subarray(0, Math.min(SLICE, size - done));
  }
}

function changed(source: ByteSource, place: SeekPlace, cause?: unknown): TsbuilderError {
  const { contentOffset, offset } = place;
  return new TsbuilderError(
    'TSB_CONTENT_CHANGED',
    `${source.name}: the stretch at ${offset} (content from ${contentOffset} on) is no longer what it was when the file was opened`,
    {
      hint: 'The file was changed or has been damaged since: start again.',
      details: { offset, contentOffset },
      cause,
    },
  );
}
