import { TsbuilderError, messageOf } from '../errors.js';
import { type ByteSource, assertRange } from '../io/byte-source.js';
import type { DiskExtent } from '../io/disk-source.js';
import type { Extent } from './extents.js';
import { type ClusterCodec, clusterCodec } from './qcow2-compress.js';
import type { Mapping } from './qcow2-format.js';
import { missingAtEnd } from './qcow2-end.js';
import { qcow2Extents } from './qcow2-extents.js';
import { type Qcow2Info, readQcow2Info } from './qcow2-info.js';
import { type Qcow2Lookup, openQcow2Lookup, outsideFile } from './qcow2-lookup.js';

/** The content of a qcow2 image as random-access bytes, read without QEMU. */
export interface Qcow2Source extends ByteSource {
  readonly info: Qcow2Info;
  /** Ranges that cover the disk in order; those with `data: false` are zero. Neighbours may be alike. */
  extents(signal?: AbortSignal): AsyncIterable<Extent>;
  /** The extents of a range, as a DiskSource tells them; at least one, however many tables it takes to know them all. */
  extentsWithin(offset: number, length: number, signal?: AbortSignal): Promise<readonly DiskExtent[]>;
  /** How many bytes the file lacks at its end, at least, by the image's reference counts. Reading what was in them fails. */
  missingBytes(signal?: AbortSignal): Promise<number>;
}

/** How the clusters of an image are stored. */
export interface Qcow2Allocation {
  readonly plainClusters: number;
  readonly packedClusters: number;
  /** False when counting stopped at the limit. */
  readonly complete: boolean;
}

const MAX_COUNTED_TABLES = 16384;

/**
 * Opens the disk inside the qcow2 image `source`. Disposing it leaves `source` open.
 *
 * @throws TSB_IMAGE_INVALID when the image is damaged or not self-contained; TSB_TOOL_MISSING when it is packed with zstd
 *   and no zstd is there
 */
export async function openQcow2Source(source: ByteSource, signal?: AbortSignal): Promise<Qcow2Source> {
  const info = await readQcow2Info(source, signal);
  const image: Image = {
    source,
    info,
    lookup: await openQcow2Lookup(source, info, signal),
    codec: clusterCodec(info.compression),
    missingBytes: (missingSignal) => missingAtEnd(source, info, missingSignal),
  };
  const disk: Qcow2Source = {
    name: source.name,
    size: info.virtualSize,
    info,
    async read(offset, length, readSignal) {
      assertRange(disk, offset, length);
      return readRange(image, { offset, length, signal: readSignal });
    },
    extents: (extentsSignal) => clusterExtents(image, extentsSignal),
    async extentsWithin(offset, length, extentsSignal) {
      assertRange(disk, offset, length);
      return qcow2Extents(image, { offset, length }, extentsSignal);
    },
    missingBytes: image.missingBytes,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return disk;
}

/**
 * Counts the clusters that have data. Reads every L2 table, up to 16384 of them (8 TiB of disk in 64 KiB clusters).
 *
 * @throws TSB_IMAGE_INVALID as `openQcow2Source`
 */
export async function countQcow2Clusters(source: ByteSource, signal?: AbortSignal): Promise<Qcow2Allocation> {
  const info = await readQcow2Info(source, signal);
  const lookup = await openQcow2Lookup(source, info, signal);
  const counts = { none: 0, plain: 0, packed: 0 };
  const tables = usedTables(lookup, info);
  for (const { first, last } of tables.slice(0, MAX_COUNTED_TABLES)) {
    for (let cluster = first; cluster <= last; cluster += 1)
      counts[(await lookup.find(cluster, signal)).kind] += 1;
  }
  return {
    plainClusters: counts.plain,
    packedClusters: counts.packed,
    complete: tables.length <= MAX_COUNTED_TABLES,
  };
}

interface Image {
  readonly source: ByteSource;
  readonly info: Qcow2Info;
  readonly lookup: Qcow2Lookup;
  readonly codec: ClusterCodec;
  readonly missingBytes: Qcow2Source['missingBytes'];
}

/** The first and last guest cluster of each L2 table that is there. */
function usedTables(lookup: Qcow2Lookup, info: Qcow2Info): { first: number; last: number }[] {
  const clusters = Math.ceil(info.virtualSize / info.clusterSize);
  const tables = Math.ceil(clusters / lookup.tableClusters);
  return Array.from({ length: tables }, (_, index) => index)
    .filter((index) => lookup.hasTable(index))
    .map((index) => ({
      first: index * lookup.tableClusters,
      last: Math.min(clusters, (index + 1) * lookup.tableClusters) - 1,
    }));
}

async function readRange(
  image: Image,
  range: { offset: number; length: number; signal: AbortSignal | undefined },
): Promise<Uint8Array> {
  const { clusterSize } = image.info;
  const data = Buffer.alloc(range.length);
  for (let done = 0; done < range.length;) {
    const at = range.offset + done;
    const start = at % clusterSize;
    const run = await findRun(image, { at, length: range.length - done, signal: range.signal });
    const target = data.subarray(done, done + run.length);
    if (run.mapping.kind === 'plain')
      await readPlain(image, { offset: run.mapping.offset + start, target, signal: range.signal });
    if (run.mapping.kind === 'packed') {
      const content = await unpackCluster(image, run.mapping, range.signal);
      target.set(content.subarray(start, start + target.length));
    }
    done += run.length;
  }
  return data;
}

/** The mapping at `at`, and how far it goes on: plain clusters that follow each other in the file are one run. */
async function findRun(
  image: Image,
  range: { at: number; length: number; signal: AbortSignal | undefined },
): Promise<{ mapping: Mapping; length: number }> {
  const { clusterSize } = image.info;
  const first = Math.floor(range.at / clusterSize);
  const mapping = await image.lookup.find(first, range.signal);
  let length = clusterSize - (range.at % clusterSize);
  for (let next = first + 1; mapping.kind === 'plain' && length < range.length; next += 1) {
    const following = await image.lookup.find(next, range.signal);
    if (following.kind !== 'plain' || following.offset !== mapping.offset + (next - first) * clusterSize)
      break;
    length += clusterSize;
  }
  return { mapping, length: Math.min(length, range.length) };
}

/** Fills `target`. The end of the file may cut off zeros of the last cluster that is in use, but of no other. */
async function readPlain(
  image: Image,
  range: { offset: number; target: Buffer; signal: AbortSignal | undefined },
): Promise<void> {
  const { offset, target, signal } = range;
  const present = Math.max(0, Math.min(target.length, image.source.size - offset));
  if (present < target.length && (await image.missingBytes(signal)) > 0)
    throw outsideFile(image.source, offset + present);
  target.set(await image.source.read(offset, present, signal));
}

async function unpackCluster(
  image: Image,
  mapping: Mapping & { kind: 'packed' },
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const packed = await image.source.read(mapping.offset, mapping.length, signal);
  const content = await image.codec.unpack(packed, image.info.clusterSize).catch((error: unknown) => {
    throw damaged(image, mapping.offset, messageOf(error));
  });
  if (content.length === image.info.clusterSize) return content;
  throw damaged(image, mapping.offset, `${content.length} bytes instead of ${image.info.clusterSize}`);
}

function damaged(image: Image, offset: number, problem: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_IMAGE_INVALID',
    `${image.source.name}: the compressed cluster at ${offset} is damaged: ${problem}`,
  );
}

async function* clusterExtents(image: Image, signal?: AbortSignal): AsyncIterable<Extent> {
  const { clusterSize, virtualSize } = image.info;
  let pending: Extent = { offset: 0, length: 0, data: false };
  for (const { first, last } of usedTables(image.lookup, image.info)) {
    for (let cluster = first; cluster <= last; cluster += 1) {
      if ((await image.lookup.find(cluster, signal)).kind === 'none') continue;
      const offset = cluster * clusterSize;
      const end = Math.min(virtualSize, offset + clusterSize);
      const covered = pending.offset + pending.length;
      if (pending.data && covered === offset) pending = { ...pending, length: end - pending.offset };
      else {
        if (pending.data) yield pending;
        if (offset > covered) yield { offset: covered, length: offset - covered, data: false };
        pending = { offset, length: end - offset, data: true };
      }
    }
  }
  if (pending.data) yield pending;
  const covered = pending.offset + pending.length;
  if (virtualSize > covered) yield { offset: covered, length: virtualSize - covered, data: false };
}
