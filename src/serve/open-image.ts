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
  /** Whether its bytes are on this machine. Default: if `fd` is known. */
  readonly isHere?: boolean | undefined;
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
  const outer = await openOuter(file, options);
  const { format, protection } = outer;
  const inner = file.inner ?? (options.format === undefined ? undefined : 'raw');
  const opened = await orDispose(outer.disk, () => openInner(outer, inner, options.signal));
  const index = opened === outer.disk ? outer.index : undefined;
  return servedDisk(opened, { format, protection: file.protection ?? protection, index });
}

/** `disk` with what there is to say about it. */
export function servedDisk(
  disk: DiskSource,
  facts: Pick<ServedDisk, 'format' | 'protection' | 'index'>,
): ServedDisk {
  const readInto = disk.readInto?.bind(disk);
  const prefetch = disk.prefetch?.bind(disk);
  return {
    ...facts,
    name: disk.name,
    size: disk.size,
    read: (offset, length, signal) => disk.read(offset, length, signal),
    extents: (offset, length, signal) => disk.extents(offset, length, signal),
    ...(readInto && { readInto }),
    ...(prefetch && { prefetch }),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

type Outer = OpenedFormat & { readonly format: ServedFormat };

async function openOuter(file: ImageFile, options: ServedDiskOptions): Promise<Outer> {
  const { source, fd, isHere = fd !== undefined, map } = file;
  // Nothing of a file with a map is looked at before it is verified, not even what it begins with.
  if (map) return { format: 'xz', ...(await openMappedXz(source, map, options)) };
  const format = options.format ?? (await formatOf(source, options.signal));
  return { format, ...(await openersByFormat[format]({ source, fd, isHere }, options)) };
}

const QCOW2_MAGIC_BYTES = 4;

/** The disk itself, or that of a qcow2 image inside a compressed file. */
async function openInner(
  { disk, format, peek }: Outer,
  inner: ImageFile['inner'],
  signal: AbortSignal,
): Promise<DiskSource> {
  if (format === 'raw' || format === 'qcow2' || inner === 'raw') return disk;
  if (disk.size < QCOW2_MAGIC_BYTES) return disk;
  const head = (length: number): Promise<Uint8Array> => peek?.(length) ?? disk.read(0, length, signal);
  const isInner = inner === 'qcow2' || isQcow2(await head(QCOW2_MAGIC_BYTES));
  return isInner ? openQcow2Disk(disk, { signal }) : disk;
}
