import { isQcow2 } from '../image/qcow2-info.js';
import type { ByteSource } from '../io/byte-source.js';
import type { DiskSource } from '../io/disk-source.js';
import type { BlockMap } from '../xz/block-map.js';
import { type OpenedFormat, formatOf, openMappedXz, openersByFormat } from './open-format.js';
import { orDispose } from './or-dispose.js';
import { openQcow2Disk } from './qcow2-disk.js';
import type { ServedDisk, ServedDiskOptions, ServedFormat } from './served-disk.js';

/** The bytes of an image, and what is known of them. */
export interface ImageFile {
  /** Belongs to whoever opens the image. */
  readonly source: ByteSource;
  /** Descriptor of the local file that `source` reads; undefined when it is far away. */
  readonly fd?: number | undefined;
  /** The checksums of its blocks; the file is xz then. */
  readonly map?: BlockMap | undefined;
  /** Format of the disk inside a compressed file. Default: its content tells. */
  readonly inner?: 'raw' | 'qcow2' | undefined;
  /** Who vouches for it, when that is more than its own checksums: a sentence. */
  readonly protection?: string | undefined;
}

/**
 * Opens the disk in an image file. Disposing it disposes the file's source; so does a failure.
 *
 * @throws TSB_XZ_CORRUPT, TSB_IMAGE_INVALID and the other codes of the formats; TSB_CHECKSUM_MISMATCH and TSB_SIZE_MISMATCH when the file
 *   is not the one of its block map
 */
export async function openImage(file: ImageFile, options: ServedDiskOptions): Promise<ServedDisk> {
  const { disk, protection, format } = await openOuter(file, options);
  const inner = file.inner ?? (options.format === undefined ? undefined : 'raw');
  const opened = await orDispose(disk, () => openInner(disk, { format, inner, signal: options.signal }));
  return servedDisk(opened, { format, protection: file.protection ?? protection });
}

/** `disk` with what there is to say about it. */
export function servedDisk(disk: DiskSource, facts: Pick<ServedDisk, 'format' | 'protection'>): ServedDisk {
  const prefetch = disk.prefetch?.bind(disk);
  return {
    ...facts,
    name: disk.name,
    size: disk.size,
    read: (offset, length, signal) => disk.read(offset, length, signal),
    extents: (offset, length, signal) => disk.extents(offset, length, signal),
    ...(prefetch && { prefetch }),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

async function openOuter(
  file: ImageFile,
  options: ServedDiskOptions,
): Promise<OpenedFormat & { readonly format: ServedFormat }> {
  const { source, fd, map } = file;
  // Nothing of a file with a map is looked at before it is verified, not even what it begins with.
  if (map) return { format: 'xz', ...(await openMappedXz(source, map, options)) };
  const format = options.format ?? (await formatOf(source, options.signal));
  return { format, ...(await openersByFormat[format]({ source, fd }, options)) };
}

/** The disk itself, or that of a qcow2 image inside a compressed file. */
async function openInner(
  disk: DiskSource,
  { format, inner, signal }: { format: ServedFormat; inner: ImageFile['inner']; signal: AbortSignal },
): Promise<DiskSource> {
  if (format === 'raw' || format === 'qcow2' || inner === 'raw' || disk.size < 4) return disk;
  const isInner = inner === 'qcow2' || isQcow2(await disk.read(0, 4, signal));
  return isInner ? openQcow2Disk(disk, signal) : disk;
}
