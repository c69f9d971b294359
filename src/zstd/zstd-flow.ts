import type { ByteSource } from '../io/byte-source.js';
import { MAX_HEADER, isFrame, parseFrameHeader } from './frame-header.js';
import { ZstdDecoder, ZstdFailure } from './libzstd.js';
import { readSeekTable } from './seek-table.js';
import { type WalkOptions, walkFrames } from './walk-frames.js';

/** How a zstd file is decoded in order. */
export type ZstdFlowOptions = WalkOptions & Required<Pick<WalkOptions, 'sink'>>;

/** Enough for the first block of any frame. */
const HEAD = 256 * 1024;
/** Content of a first frame that suggests that there are many, worth to be decoded at the same time. */
const SMALL_FRAME = 64 * 1024 * 1024;

/**
 * Decodes a zstd file (RFC 8878) once from its beginning to its end, frame after frame, and reads it once. The checksum of a frame that
 * has one is verified at its end, so what the sink was given is right only when this resolves.
 *
 * @returns bytes of content
 * @throws TSB_ZSTD_CORRUPT, TSB_ZSTD_LIMIT, TSB_ZSTD_UNSUPPORTED, TSB_TOOL_MISSING, what the source and the sink throw
 */
export async function streamZstd(source: ByteSource, options: ZstdFlowOptions): Promise<number> {
  return (await walkFrames(source, options)).contentOffsets.at(-1) ?? 0;
}

/**
 * Whether decoding all of a zstd file in order is the best way to get all of its content: unless it has a seek table, or is near (`local`,
 * so that finding the frames costs little) and begins with a small frame, so that many of them can be decoded at the same time.
 *
 * @throws TSB_ZSTD_CORRUPT, TSB_ZSTD_LIMIT, TSB_ZSTD_UNSUPPORTED, what the source throws
 */
export async function isBestInOrder(
  source: ByteSource,
  { local, signal }: { readonly local: boolean; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  if (await readSeekTable(source, signal)) return false;
  if (!local) return true;
  const head = await source.read(0, Math.min(MAX_HEADER, source.size), signal);
  if (!isFrame(head)) return true;
  const { contentSize } = parseFrameHeader(head, { name: source.name, offset: 0 });
  return contentSize === undefined || contentSize > SMALL_FRAME;
}

/**
 * The first `length` bytes of the content, from the first 256 KiB of the file, unverified. Undefined where a skippable frame comes first
 * or the file is damaged there: whoever decodes it will say so.
 *
 * @throws TSB_TOOL_MISSING, what the source throws
 */
export async function peekZstd(
  source: ByteSource,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  const head = await source.read(0, Math.min(HEAD, source.size), signal);
  if (!isFrame(head)) return undefined;
  using decoder = new ZstdDecoder();
  const output = Buffer.alloc(length);
  try {
    decoder.begin();
    return (await decoder.run(head, output)).produced === length ? output : undefined;
  } catch (error) {
    if (error instanceof ZstdFailure) return undefined;
    throw error;
  }
}
