import type { SegmentedContent } from '../io/segments.js';

/** Segments up to this size can be decoded again, if need be. */
const LARGE = 256 * 1024 * 1024;

/**
 * Whether some segment is so large that reading the content at random from `cacheBytes` of memory would decode the same bytes again and
 * again: then a spill file is worth its space, and the content worth being compressed anew in smaller blocks.
 */
export function needsSpill(content: SegmentedContent, cacheBytes: number): boolean {
  const limit = Math.min(LARGE, cacheBytes / 2);
  for (let number = 0; number < content.segmentCount; number += 1)
    if (content.segment(number).size > limit) return true;
  return false;
}
