import type { ByteSource } from '../io/byte-source.js';
import type { XzBlock } from './block-table.js';
import { encodeStreamEnd } from './encode-index.js';
import { freeNow } from './free-now.js';
import { encodeStreamHeader } from './stream-flags.js';

/** Largest read of compressed bytes at once. */
const INPUT_CHUNK = 1024 * 1024;

/** A block to be decoded: where its bytes are, and what its stream's header says. */
export interface BlockInput {
  readonly source: ByteSource;
  readonly block: XzBlock;
  /** Id of the integrity check in the flags of the block's stream. */
  readonly check: number;
  /** All `totalSize` bytes of the block, when they have been read already. */
  readonly whole?: Uint8Array | undefined;
  /** All bytes of the block, in order, when someone else reads them. */
  readonly pieces?: AsyncIterable<Uint8Array> | undefined;
  /** Bytes of the first read; each further read takes twice as many, up to `INPUT_CHUNK`. Default: `INPUT_CHUNK`. */
  readonly firstRead?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `block` as a complete xz stream of its own: a stream header, its bytes, an index of one record and a footer. A decoder of
 * xz streams then checks everything: header, data, check, and both sizes against the index record.
 * A piece is valid until the next one is asked for.
 */
export async function* oneBlockStream(input: BlockInput): AsyncGenerator<Uint8Array, void> {
  const { source, block, check, signal } = input;
  yield encodeStreamHeader(check);
  if (input.whole) {
    yield input.whole;
  } else if (input.pieces) {
    yield* input.pieces;
  } else {
    let length = Math.min(input.firstRead ?? INPUT_CHUNK, INPUT_CHUNK);
    for (let at = 0; at < block.totalSize; at += length, length = Math.min(length * 2, INPUT_CHUNK)) {
      length = Math.min(length, block.totalSize - at);
      const piece = await source.read(block.compressedOffset + at, length, signal);
      yield piece;
      freeNow(piece);
    }
  }
  yield encodeStreamEnd([block], check);
}
