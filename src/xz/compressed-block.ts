import { createHash } from 'node:crypto';
import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import type { XzBlock } from './block-table.js';
import type { BlockVerifier } from './block-verifier.js';

/** Blocks of up to this many compressed bytes are read at once and held while they are decoded. */
export const WHOLE_BLOCK = 32 * 1024 * 1024;
/** Larger ones come in pieces of this size, one of them read ahead. */
const PIECE = 8 * 1024 * 1024;

/** How the compressed bytes of a block are read. */
export interface CompressedBlockOptions {
  /** All its bytes, when the source is giving or has given them already. */
  readonly fetched?: Promise<Uint8Array> | undefined;
  /** Nothing is handed over before the whole block has passed. */
  readonly verify?: BlockVerifier | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The compressed bytes of `block`, in order, exactly those that belong to it: by one read of the source, or, above 32 MiB, by
 * reads of 8 MiB, the next one under way while one is used. A large block that must be verified is read twice: once for the
 * verifier, and once to be used, each piece compared with the SHA-256 it had the first time, so that memory stays bounded and
 * nobody can exchange it in between.
 *
 * @throws TSB_CHECKSUM_MISMATCH from the verifier, TSB_CONTENT_CHANGED when the source gives other bytes the second time, what
 *   the source throws
 */
export async function* readCompressedBlock(
  source: ByteSource,
  block: XzBlock,
  options: CompressedBlockOptions,
): AsyncGenerator<Uint8Array, void> {
  const { verify, signal } = options;
  if (block.totalSize <= WHOLE_BLOCK) {
    const { fetched = source.read(block.compressedOffset, block.totalSize, signal) } = options;
    const whole = await fetched;
    verify?.check(block.number, whole);
    yield whole;
    return;
  }
  const digests = verify && (await verifyInPieces(source, block, { verify, signal }));
  let number = 0;
  for await (const piece of readPieces(source, block, signal)) {
    if (digests?.[number]?.equals(digest(piece)) === false) throw changed(source, block);
    number += 1;
    yield piece;
  }
}

/** Passes a block to the verifier; returns the SHA-256 of each of its pieces. */
async function verifyInPieces(
  source: ByteSource,
  block: XzBlock,
  { verify, signal }: { verify: BlockVerifier; signal: AbortSignal | undefined },
): Promise<Buffer[]> {
  const check = verify.begin(block.number);
  const digests: Buffer[] = [];
  for await (const piece of readPieces(source, block, signal)) {
    check.update(piece);
    digests.push(digest(piece));
  }
  check.finish();
  return digests;
}

async function* readPieces(
  source: ByteSource,
  block: XzBlock,
  outer: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const own = new AbortController();
  const signal = outer ? AbortSignal.any([outer, own.signal]) : own.signal;
  const readAt = (at: number): Promise<Uint8Array> | undefined => {
    if (at >= block.totalSize) return undefined;
    const read = source.read(block.compressedOffset + at, Math.min(PIECE, block.totalSize - at), signal);
    // It is awaited only when the piece in front of it has been used up.
    read.catch(() => undefined);
    return read;
  };
  let next = readAt(0);
  try {
    for (let at = PIECE; next; at += PIECE) {
      const piece = await next;
      next = readAt(at);
      yield piece;
    }
  } finally {
    own.abort();
    await next?.catch(() => undefined);
  }
}

function digest(piece: Uint8Array): Buffer {
  return createHash('sha256').update(piece).digest();
}

function changed(source: ByteSource, block: XzBlock): TsbuilderError {
  return new TsbuilderError(
    'TSB_CONTENT_CHANGED',
    `${source.name}: block ${block.number} at ${block.compressedOffset} changed between two reads of it`,
    { details: { block: block.number, offset: block.compressedOffset } },
  );
}
