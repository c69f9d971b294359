import { openQcow2Source } from '../image/qcow2-source.js';
import type { DiskSource } from '../io/disk-source.js';

/**
 * The disk inside a qcow2 image, by the tables in it. Disposing it disposes `image`.
 *
 * @throws TSB_IMAGE_INVALID when the image is damaged, encrypted or needs other files; TSB_TOOL_MISSING when it is packed with zstd
 *   and no zstd is there. `image` stays open then
 */
export async function openQcow2Disk(image: DiskSource, signal?: AbortSignal): Promise<DiskSource> {
  const disk = await openQcow2Source(image, signal);
  return {
    name: disk.name,
    size: disk.size,
    read: (offset, length, readSignal) => disk.read(offset, length, readSignal),
    extents: (offset, length, extentsSignal) => disk.extentsWithin(offset, length, extentsSignal),
    [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
  };
}
