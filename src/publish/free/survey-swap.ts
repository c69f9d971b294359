import type { ByteSource } from '../../io/byte-source.js';
import type { Content } from '../../probe/superblocks.js';
import type { Findings } from './survey-place.js';

/**
 * What is free of swap space: all but its first page, which has the size, the UUID, the label and the bad pages (Linux,
 * include/linux/swap.h). A hibernated system has another signature in that page, so its memory is never taken for swap.
 */
export function surveySwap(source: ByteSource, content: Content): Findings {
  const { size = 0, blockSize = 0 } = content;
  if (size > source.size) return { freeRanges: [], left: `swap of ${size} bytes in ${source.size} bytes` };
  if (size <= blockSize) return { freeRanges: [] };
  const free = size - blockSize;
  return { size, free, freeRanges: [{ offset: blockSize, length: free }] };
}
