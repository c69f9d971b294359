import type { ByteSource } from '../io/byte-source.js';
import type { XzIndex } from './block-table.js';
import { decodeBlock } from './decode-block.js';
import { DICTIONARY_LIMIT } from './decode-xz.js';
import { loadXzEngine } from './engine.js';

/** Compressed bytes of the first read: with the stream header in front they are within the first 512 bytes of the file. */
const FIRST_READ = 500;

/**
 * The first `length` bytes of the content, or all of it when it is shorter, from as few bytes of the file as it takes. They are not
 * checked: the integrity check stands at the end of their block.
 *
 * @throws TSB_XZ_CORRUPT, TSB_XZ_UNSUPPORTED, TSB_XZ_LIMIT, TSB_TOOL_MISSING, and what the source throws
 */
export async function peekXz(
  source: ByteSource,
  index: XzIndex,
  options: { readonly length: number; readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const { length, signal } = options;
  if (index.uncompressedSize === 0) return new Uint8Array(0);
  const block = index.block(index.find(0));
  using decoder = (await loadXzEngine()).openDecoder({
    sliceSize: length,
    dictionaryLimit: DICTIONARY_LIMIT,
  });
  const check = index.streams[block.stream]?.check ?? 0;
  for await (const slice of decodeBlock(decoder, { source, block, check, firstRead: FIRST_READ, signal }))
    return slice.slice(0, length);
  return new Uint8Array(0);
}
