import type { DiskSource } from '../io/disk-source.js';
import { formatSize } from '../io/format-size.js';
import type { SegmentedContent } from '../io/segments.js';
import { temporaryFolder } from '../io/temporary-folder.js';
import { newServerLog } from '../nbd/server-log.js';
import { needsSpill } from '../segment-cache/needs-spill.js';
import { openSegmentCache } from '../segment-cache/segment-cache.js';
import type { ServedDiskOptions } from './served-disk.js';

/**
 * Segmented content as a disk, through a cache. Where segments are too large to be decoded again and again, what was decoded goes to
 * a temporary file, and a warning says so. Disposing the result disposes `content`; so does a failure.
 *
 * @throws as `openSegmentCache`
 */
export async function openCachedDisk(
  content: SegmentedContent,
  options: ServedDiskOptions,
): Promise<DiskSource> {
  const { cacheBytes, jobs, counters, progress, signal } = options;
  const spill = options.spill ?? (await automaticSpill(content, options));
  const log = newServerLog((line) => progress.warn(line));
  return openSegmentCache(content, { cacheBytes, spill, jobs, counters, log, signal });
}

async function automaticSpill(
  content: SegmentedContent,
  { cacheBytes, progress }: ServedDiskOptions,
): Promise<string | undefined> {
  if (!needsSpill(content, cacheBytes)) return undefined;
  const folder = await temporaryFolder();
  let largest = 0;
  for (let number = 0; number < content.segmentCount; number += 1)
    largest = Math.max(largest, content.segment(number).size);
  progress.warn(
    `${content.name}: one of its blocks holds ${formatSize(largest)}, and to read a byte all in front of it must be decoded; ` +
      `what was decoded is kept in ${folder}, up to ${formatSize(content.size)} ` +
      '(--cache-file chooses another place; tsbuilder repack makes an image of small blocks; a larger --cache-size needs no file)',
  );
  return folder;
}
