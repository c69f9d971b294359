import { type ByteSource, sliceSource } from '../io/byte-source.js';
import type { XzIndex } from '../xz/xz-index.js';
import { openXzSegments } from '../xz/xz-segments.js';

/**
 * Bytes of the content that are certainly zero because they are in blocks that are zero throughout. Few bytes of the file are
 * read: one block of each promising size is decoded, and the others of that size are compared with it.
 */
export async function countZeroBlocks(
  source: ByteSource,
  index: XzIndex,
  signal?: AbortSignal,
): Promise<number> {
  // A window, because the segments dispose their source.
  await using content = openXzSegments(sliceSource(source, 0, source.size), index);
  let zeros = 0;
  for (let number = 0; number < content.segmentCount; number += 1) {
    signal?.throwIfAborted();
    if (await content.isZero?.(number, signal)) zeros += content.segment(number).size;
  }
  return zeros;
}
