import { stat } from 'node:fs/promises';
import { sliceSource } from '../io/byte-source.js';
import { newCounters } from '../io/counters.js';
import { type DiskExtent, type DiskSource, opaqueDisk } from '../io/disk-source.js';
import type { SegmentedContent } from '../io/segments.js';
import { type XzIndex, readXzIndex } from '../xz/xz-index.js';
import { openXzSegments } from '../xz/xz-segments.js';
import { locateDisk } from './disk-location.js';
import { openServedDisk } from './open-disk.js';
import { openImage } from './open-image.js';
import { orDispose } from './or-dispose.js';
import { type PlainImage, openPlainImage } from './plain-image.js';
import type { LookRequest } from './run-look.js';
import type { ServedFormat } from './served-disk.js';

/** A disk, and how its image stores it. Disposing it closes the image. */
export interface StoredDisk extends AsyncDisposable {
  readonly disk: DiskSource;
  readonly format: ServedFormat;
  /** Where the blocks of the disk are, in an xz file. */
  readonly index?: XzIndex | undefined;
  /** Bytes that a local file or a packed one takes. */
  readonly occupied?: number | undefined;
  /** Whether its bytes are on this machine. */
  readonly local: boolean;
}

/** Memory for decoded blocks: a few, for reading metadata. */
const CACHE_BYTES = 256 * 1024 * 1024;

/**
 * Opens the disk of `request`: a path, a URL or the name of a template. Of an image on a server only ranges are fetched; of a plain xz
 * file no more than the beginnings of the blocks that are read.
 *
 * @throws as `openServedDisk`
 */
export async function openStoredDisk({ src, open }: LookRequest): Promise<StoredDisk> {
  const options = { ...open, cacheBytes: CACHE_BYTES, counters: newCounters() };
  const location = await locateDisk(src);
  if (location.kind === 'template' || open.requireVerified) {
    const disk = await openServedDisk(src, options);
    return stored(disk, { ...disk, occupied: disk.index?.compressedSize, local: false });
  }
  const { format, http, progress, signal } = open;
  const image = await openPlainImage(location, { format, http, progress, signal });
  if (image.xz) return openPlainXz({ ...image, xz: image.xz }, options.signal);
  const disk = await openImage(image, options);
  const local = location.kind === 'file';
  const occupied = local ? (await stat(location.path)).blocks * 512 : undefined;
  return stored(disk, { ...disk, occupied, local });
}

function stored(
  disk: DiskSource,
  { format, index, occupied, local }: Omit<StoredDisk, 'disk' | typeof Symbol.asyncDispose>,
): StoredDisk {
  const dispose = (): PromiseLike<void> => disk[Symbol.asyncDispose]();
  return { disk, format, index, occupied, local, [Symbol.asyncDispose]: dispose };
}

type PlainXz = PlainImage & { readonly xz: NonNullable<PlainImage['xz']> };

async function openPlainXz({ source, xz, fd }: PlainXz, signal: AbortSignal): Promise<StoredDisk> {
  const index = await orDispose(source, () => readXzIndex(source, { signal }));
  // A window, because the segments dispose their source.
  const segments = openXzSegments(sliceSource(source, 0, source.size), index);
  const disk = {
    ...opaqueDisk(xz.disk),
    extents: (offset: number, length: number, inner?: AbortSignal) =>
      segmentExtents(segments, { offset, length }, inner),
    async [Symbol.asyncDispose]() {
      await segments[Symbol.asyncDispose]();
      await xz[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
  return stored(disk, { format: 'xz', index, occupied: source.size, local: fd !== undefined });
}

/** Segments that are zero throughout, and others. Next to nothing is decoded to find out. */
async function segmentExtents(
  segments: SegmentedContent,
  { offset, length }: { offset: number; length: number },
  signal: AbortSignal | undefined,
): Promise<DiskExtent[]> {
  const end = offset + length;
  const extents: DiskExtent[] = [];
  for (let at = offset; at < end;) {
    const segment = segments.segment(segments.find(at));
    const stop = Math.min(end, segment.offset + segment.size);
    const kind = (await segments.isZero?.(segment.number, signal)) ? 'hole' : 'data';
    extents.push({ offset: at, length: stop - at, kind });
    at = stop;
  }
  return extents;
}
