import { type ByteSource, assertRange } from '../io/byte-source.js';
import { oneAtATime } from '../io/one-at-a-time.js';
import type { XzIndex } from './block-table.js';
import { DICTIONARY_LIMIT } from './decode-xz.js';
import { BlockCursors, PIECE } from './block-cursors.js';
import { PieceCache } from './piece-cache.js';

/** What the random access may hold in memory. */
export interface XzSourceOptions {
  /** Bytes of decoded content kept. */
  readonly cacheBytes?: number | undefined;
  /** Largest dictionary accepted, in bytes. */
  readonly dictionaryLimit?: number | undefined;
}

const CACHE_BYTES = 32 * 1024 * 1024;

/**
 * The content of an xz file as a ByteSource, for few and small reads. A read decodes its block from the start, but no further
 * than it needs, in pieces; the pieces passed on the way are kept in a cache of bounded size. Reads take turns.
 *
 * The integrity check stands at a block's end, so what a read returns may come from a block that is damaged further on.
 * Whoever needs certainty decodes everything (`decodeXz`). Disposing the result leaves `source` open.
 *
 * @throws (when read) TSB_XZ_CORRUPT, TSB_XZ_UNSUPPORTED, TSB_XZ_LIMIT, TSB_TOOL_MISSING, and what the source throws
 */
export function openXzSource(source: ByteSource, index: XzIndex, options: XzSourceOptions = {}): ByteSource {
  const cursors = new BlockCursors(source, index, {
    cache: new PieceCache(options.cacheBytes ?? CACHE_BYTES),
    dictionaryLimit: options.dictionaryLimit ?? DICTIONARY_LIMIT,
  });
  const inTurn = oneAtATime();
  const copy = async (offset: number, target: Buffer, signal?: AbortSignal): Promise<void> => {
    for (let done = 0; done < target.length;) {
      const block = index.block(index.find(offset + done));
      const inBlock = offset + done - block.uncompressedOffset;
      const piece = await cursors.piece(block, Math.floor(inBlock / PIECE), signal);
      done += piece.copy(target, done, inBlock % PIECE);
    }
  };
  const content: ByteSource = {
    name: source.name,
    size: index.uncompressedSize,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      assertRange(content, offset, length);
      const target = Buffer.allocUnsafeSlow(length);
      await inTurn(() => copy(offset, target, signal));
      return target;
    },
    [Symbol.asyncDispose]: () => inTurn(() => cursors.close()),
  };
  return content;
}
