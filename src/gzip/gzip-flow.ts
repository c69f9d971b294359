import type { ByteSource } from '../io/byte-source.js';
import { InputCursor } from '../io/input-cursor.js';
import { TsbuilderError } from '../errors.js';
import { type FirstPassOptions, passOverGzip } from './first-pass.js';
import { Inflater } from './inflater.js';
import { MemberReader } from './member-reader.js';

/** How a gzip file is decoded in order. */
export type GzipFlowOptions = Omit<FirstPassOptions, 'seekPointBytes' | 'sink'> & {
  readonly sink: (offset: number, data: Uint8Array) => Promise<void>;
};

/** Enough for a header and the beginning of the content; a header can be longer, but then nothing is told. */
const HEAD = 64 * 1024;

/**
 * Decodes a gzip file (RFC 1952) once from its beginning to its end, and reads it once. Each member's CRC32 and size are verified when it
 * ends, so what the sink was given is right only when this resolves.
 *
 * @returns bytes of content
 * @throws TSB_GZIP_CORRUPT, TSB_TOOL_MISSING without zlib, what the source and the sink throw
 */
export async function streamGzip(source: ByteSource, options: GzipFlowOptions): Promise<number> {
  return (await passOverGzip(source, { ...options, seekPointBytes: Infinity })).size;
}

/**
 * The first `length` bytes of the content, from the first 64 KiB of the file, unverified. Undefined where that does not reach, or the
 * file is damaged there: whoever decodes it will say so.
 *
 * @throws TSB_TOOL_MISSING, what the source throws
 */
export async function peekGzip(
  source: ByteSource,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  using inflater = new Inflater();
  await using cursor = new InputCursor(source, { from: 0, to: Math.min(HEAD, source.size), signal });
  const reader = new MemberReader(source.name, cursor, inflater);
  const output = Buffer.alloc(length);
  try {
    await reader.openMember();
    return (await reader.fill(output, 'end')).length === length ? output : undefined;
  } catch (error) {
    if (error instanceof TsbuilderError && error.code === 'TSB_GZIP_CORRUPT') return undefined;
    throw error;
  }
}
