import type { BlockDecoder } from './engine.js';
import { LzmaFailure, blockError } from './lzma-result.js';
import { type BlockInput, oneBlockStream } from './one-block-stream.js';

/**
 * Decodes one block, slice by slice, in order. A slice is valid until the next one is asked for. Sizes and integrity check
 * have been found right when the generator ends, not before.
 *
 * @throws TSB_XZ_CORRUPT, TSB_XZ_UNSUPPORTED or TSB_XZ_LIMIT naming the block and its offsets; what the source throws
 */
export async function* decodeBlock(
  decoder: BlockDecoder,
  input: BlockInput,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* decoder.decode(oneBlockStream(input), input.block.uncompressedSize);
  } catch (error) {
    if (error instanceof LzmaFailure) throw blockError(input.source.name, input.block, error);
    throw error;
  }
}
