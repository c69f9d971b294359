import { type ByteSource, assertRange } from './byte-source.js';

/** What is known about a range of a disk. `hole`: zero, and nothing is stored for it; `zero`: zero; `data`: anything else, or unknown. */
export type ExtentKind = 'data' | 'zero' | 'hole';

/** A range of a disk in bytes. */
export interface DiskExtent {
  readonly offset: number;
  readonly length: number;
  readonly kind: ExtentKind;
}

/** A disk for random access that can tell where it is zero. */
export interface DiskSource extends ByteSource {
  /**
   * What is known of `offset..offset+length`: extents in order and without gaps, the first at `offset`, at least one, none past the
   * range's end; they may stop before it. Nothing is decoded or read as a whole to find out: what is not known is `data`.
   */
  extents(offset: number, length: number, signal?: AbortSignal): Promise<readonly DiskExtent[]>;
  /**
   * As `read`, into memory of the caller: all of `target` from `offset`. Once it has settled, nothing writes there any more. Absent where
   * the bytes come in memory of their own.
   */
  readInto?(offset: number, target: Buffer, signal?: AbortSignal): Promise<void>;
  /** Brings a range into the cache, so that a later read of it is answered from there. Absent where there is no cache. */
  prefetch?(offset: number, length: number, signal?: AbortSignal): Promise<void>;
}

/** A disk that can be written to. Concurrent calls on disjoint ranges are fine. */
export interface WritableDisk extends DiskSource {
  write(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Makes a range read as zeros; with `punch` the space may be given back. */
  zero(offset: number, length: number, options?: { readonly punch?: boolean | undefined }): Promise<void>;
  /** Resolves when everything written before is as durable as this disk ever gets. */
  flush(): Promise<void>;
}

/** Whether a disk takes writes. */
export function isWritable(disk: DiskSource): disk is WritableDisk {
  return 'write' in disk;
}

/** A ByteSource of which nothing is known but its bytes. Disposing it disposes `source`. */
export function opaqueDisk(source: ByteSource): DiskSource {
  return {
    name: source.name,
    size: source.size,
    read: (offset, length, signal) => source.read(offset, length, signal),
    extents(offset, length) {
      assertRange(source, offset, length);
      return Promise.resolve([{ offset, length, kind: 'data' }]);
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** A window of `length` bytes from `start` of a read-only disk: a partition. Disposing it disposes `disk`. */
export function sliceDisk(disk: DiskSource, start: number, length: number): DiskSource {
  assertRange(disk, start, length);
  const inside = (offset: number, count: number): void =>
    assertRange({ name: disk.name, size: length }, offset, count);
  const readInto = disk.readInto?.bind(disk);
  const prefetch = disk.prefetch?.bind(disk);
  return {
    name: disk.name,
    size: length,
    read(offset, count, signal) {
      inside(offset, count);
      return disk.read(start + offset, count, signal);
    },
    async extents(offset, count, signal) {
      inside(offset, count);
      const extents = await disk.extents(start + offset, count, signal);
      return extents.map((extent) => ({ ...extent, offset: extent.offset - start }));
    },
    ...(readInto && {
      readInto(offset: number, target: Buffer, signal?: AbortSignal) {
        inside(offset, target.length);
        return readInto(start + offset, target, signal);
      },
    }),
    ...(prefetch && {
      prefetch(offset: number, count: number, signal?: AbortSignal) {
        inside(offset, count);
        return prefetch(start + offset, count, signal);
      },
    }),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}
