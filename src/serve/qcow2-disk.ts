import { openQcow2Source } from '../image/qcow2-source.js';
import type { DiskSource } from '../io/disk-source.js';
import { formatSize } from '../io/format-size.js';

interface Qcow2DiskOptions {
  /** Is told when the end of the image is missing. To find out takes up to two reads in any part of the image; without this it is not done. */
  readonly warn?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The disk inside a qcow2 image, by the tables in it. Disposing it disposes `image`.
 *
 * @throws TSB_IMAGE_INVALID when the image is damaged, encrypted or needs other files; TSB_TOOL_MISSING when it is packed with zstd
 *   and no zstd is there. `image` stays open then
 */
export async function openQcow2Disk(
  image: DiskSource,
  { warn, signal }: Qcow2DiskOptions,
): Promise<DiskSource> {
  const disk = await openQcow2Source(image, signal);
  const missing = warn ? await disk.missingBytes(signal) : 0;
  if (missing > 0) {
    warn?.(
      `${image.name}: the image is cut off: at least ${formatSize(missing)} at its end are missing. What was in them cannot be read`,
    );
  }
  return {
    name: disk.name,
    size: disk.size,
    read: (offset, length, readSignal) => disk.read(offset, length, readSignal),
    extents: (offset, length, extentsSignal) => disk.extentsWithin(offset, length, extentsSignal),
    [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
  };
}
