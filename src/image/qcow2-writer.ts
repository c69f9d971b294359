import { writeError } from '../io/free-space.js';
import { encodeJobs } from '../io/native.js';
import { createClusterAllocator } from './cluster-allocator.js';
import { createClusterMap } from './cluster-map.js';
import { type DiskWriter, assertInside } from './disk-writer.js';
import { type PackedClusters, createPackedClusters } from './packed-clusters.js';
import { clusterCodec } from './qcow2-compress.js';
import { type Qcow2File, clusterParts, hostCluster, usedParts } from './qcow2-file.js';
import { type Qcow2Compression, decodeMapping, planGeometry } from './qcow2-format.js';
import { writeTables } from './qcow2-tables.js';
import { openEmptyFile } from './raw-writer.js';
import { writeFully, writeZeros } from './write-fully.js';
import { splitZeroRuns } from './zero.js';

/** Bytes in a cluster where nothing else is asked for. */
export const DEFAULT_CLUSTER_SIZE = 65536;

/** How a qcow2 image is written. */
export interface Qcow2Options {
  /** Bytes in a cluster: a power of two from 512 to 2 MiB. Default 64 KiB. */
  readonly clusterSize?: number | undefined;
  /** Compress clusters. Default: not. */
  readonly compress?: Qcow2Compression | undefined;
  /** Clusters compressed at once by one `write`. Default: one per CPU. */
  readonly jobs?: number | undefined;
}

/** A qcow2 image being written. */
export interface Qcow2Writer extends DiskWriter {
  /** Bytes in a cluster. */
  readonly clusterSize: number;
  /**
   * Does the work of writing `data` that may be done in any order, which is packing. Resolves to a function that gives
   * the data its place in the file before it returns its promise, and then writes it: so the order of the calls of
   * these functions alone decides the bytes of the image. `data` must stay as it is until the write is over. It is whole
   * clusters that nothing has been written to; the last one of the disk is filled up with zeros.
   *
   * @throws RangeError when `data` is outside the disk or no whole clusters; the function throws as `write`
   */
  prepare(offset: number, data: Uint8Array): Promise<() => Promise<void>>;
}

/**
 * Opens the new, empty file `path` as a qcow2 image (version 3) of `size` bytes, rounded up to whole 512-byte sectors;
 * where the size is not known yet, the disk ends where the last write or zeroing ends.
 * Data clusters go to the file in the order they are written; tables and header follow in `finish`, so an image that
 * is not finished is none. Memory: 8 bytes for each cluster near data, and 16 MiB of clusters in part written when
 * compressing.
 *
 * @throws TSB_USAGE for an impossible cluster size, TSB_TOOL_MISSING when zstd cannot be had, and as `openRawWriter`
 */
export async function openQcow2Writer(
  path: string,
  size: number | undefined,
  options: Qcow2Options = {},
): Promise<Qcow2Writer> {
  const geometry = planGeometry(size ?? 0, options.clusterSize ?? DEFAULT_CLUSTER_SIZE);
  const codec = options.compress && clusterCodec(options.compress);
  const target = await openEmptyFile(path);
  const file: Qcow2File = {
    target,
    geometry,
    map: createClusterMap(),
    allocator: createClusterAllocator(geometry.clusterSize),
  };
  const packed = codec && createPackedClusters(file, codec, encodeJobs(options.jobs));
  return qcow2Writer(file, { size, packed, compression: options.compress ?? 'zlib' });
}

interface WriterState {
  readonly size: number | undefined;
  readonly packed: PackedClusters | undefined;
  readonly compression: Qcow2Compression;
}

function qcow2Writer(file: Qcow2File, state: WriterState): Qcow2Writer {
  const { packed, compression } = state;
  let size = state.size ?? 0;
  const claim = (offset: number, length: number): void => {
    if (state.size === undefined) size = Math.max(size, offset + length);
    else assertInside(size, offset, length);
  };
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await file.target.handle.close().catch((error: unknown) => {
      throw writeError(file.target.path, error);
    });
  };
  return {
    get size() {
      return size;
    },
    clusterSize: file.geometry.clusterSize,
    async write(offset, data) {
      claim(offset, data.length);
      await (packed ? packed.write(offset, data) : writePlain(file, offset, data));
    },
    async zero(offset, length) {
      claim(offset, length);
      await (packed ? packed.zero(offset, length) : zeroPlain(file, offset, length));
    },
    async prepare(offset, data) {
      assertWholeClusters(file.geometry.clusterSize, offset, data.length);
      assertInside(
        Math.ceil(size / file.geometry.clusterSize) * file.geometry.clusterSize,
        offset,
        data.length,
      );
      return packed ? packed.prepare(offset, data) : () => writeWithoutZeros(file, offset, data);
    },
    async finish() {
      await packed?.flush();
      const geometry = planGeometry(size, file.geometry.clusterSize);
      await writeTables({ ...file, geometry }, compression);
      await close();
    },
    [Symbol.asyncDispose]: close,
  };
}

function assertWholeClusters(clusterSize: number, offset: number, length: number): void {
  if (offset % clusterSize === 0 && length % clusterSize === 0) return;
  throw new RangeError(`${length} bytes at ${offset} are no whole clusters of ${clusterSize} bytes`);
}

interface PlainRun {
  readonly host: number;
  readonly data: Uint8Array;
}

async function writePlain(file: Qcow2File, offset: number, data: Uint8Array): Promise<void> {
  await writePlaced(file, placePlain(file, offset, data));
}

async function writeWithoutZeros(file: Qcow2File, offset: number, data: Uint8Array): Promise<void> {
  const runs = [...splitZeroRuns(data, offset)].flatMap((run) =>
    run.data ? placePlain(file, run.offset, run.data) : [],
  );
  await writePlaced(file, runs);
}

async function writePlaced(file: Qcow2File, runs: readonly PlainRun[]): Promise<void> {
  for (const { host, data } of runs) await writeFully(file.target, host, data);
}

/**
 * Gives the data its place. A fresh cluster is a hole of the file and reads as zeros, so a part of it is simply
 * written. Clusters that lie side by side in the file are written by one call.
 */
function placePlain(file: Qcow2File, offset: number, data: Uint8Array): PlainRun[] {
  const runs: { host: number; from: number; to: number }[] = [];
  for (const { cluster, start, at, length } of clusterParts(file.geometry.clusterSize, offset, data.length)) {
    const host = hostCluster(file, cluster) + start;
    const run = runs.at(-1);
    if (run && run.host + run.to - run.from === host) run.to = at + length;
    else runs.push({ host, from: at, to: at + length });
  }
  return runs.map(({ host, from, to }) => ({ host, data: data.subarray(from, to) }));
}

async function zeroPlain(file: Qcow2File, offset: number, length: number): Promise<void> {
  const { clusterBits } = file.geometry;
  for (const part of usedParts(file, offset, length)) {
    const mapping = decodeMapping(file.map.get(part.cluster), clusterBits);
    if (mapping.kind === 'plain') await writeZeros(file.target, mapping.offset + part.start, part.length);
  }
}
