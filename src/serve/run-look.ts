import { newCounters } from '../io/counters.js';
import { type ImageFiles, openImageFiles } from './image-files.js';
import { type ServedDiskOptions, openServedDisk } from './open-disk.js';

/** Memory for decoded blocks: enough for the few that looking at files needs. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** Which filesystem to look into, and how its image is opened. */
export interface LookRequest {
  /** Path, URL or template name. */
  readonly src: string;
  readonly partition?: number | undefined;
  readonly open: Omit<ServedDiskOptions, 'cacheBytes' | 'counters' | 'partition' | 'spill'>;
}

/**
 * Opens the filesystem that `request` means, runs `look`, and closes all again. Only the blocks that are needed are fetched and
 * decoded.
 *
 * @throws as `openServedDisk` and `openImageFiles`, and what `look` throws
 */
export async function lookInto<T>(request: LookRequest, look: (found: ImageFiles) => Promise<T>): Promise<T> {
  const { src, partition, open } = request;
  await using disk = await openServedDisk(src, { ...open, cacheBytes: CACHE_BYTES, counters: newCounters() });
  const { progress, signal } = open;
  return await look(await openImageFiles(disk, { partition, progress, signal }));
}
