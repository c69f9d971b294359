import { forEachParallel } from '../io/parallel.js';
import { readFully } from '../io/file-source.js';
import type { ClusterCodec } from './qcow2-compress.js';
import { type ClusterPart, type Qcow2File, clusterParts, hostCluster, usedParts } from './qcow2-file.js';
import { decodeMapping, encodeMapping } from './qcow2-format.js';
import { writeFully } from './write-fully.js';
import { isZero } from './zero.js';

const MAX_PARTIAL_BYTES = 16 * 1024 * 1024;

/** The compressing side of a qcow2 image: a cluster is packed when all of it is known, or when room is needed. */
export interface PackedClusters {
  write(offset: number, data: Uint8Array): Promise<void>;
  zero(offset: number, length: number): Promise<void>;
  /** Packs whole clusters that nothing has been written to; see `Qcow2Writer.prepare`. */
  prepare(offset: number, data: Uint8Array): Promise<() => Promise<void>>;
  /** Packs the clusters that have been written in part. */
  flush(): Promise<void>;
}

interface Partial {
  readonly data: Buffer;
  missing: number;
}

interface State {
  readonly file: Qcow2File;
  readonly codec: ClusterCodec;
  readonly jobs: number;
  readonly partials: Map<number, Partial>;
  readonly locks: Map<number, Promise<unknown>>;
}

/** Packs the clusters of `file` with `codec`, `jobs` at once for each call. */
export function createPackedClusters(file: Qcow2File, codec: ClusterCodec, jobs: number): PackedClusters {
  const state: State = { file, codec, jobs, partials: new Map(), locks: new Map() };
  const { clusterSize } = file.geometry;
  const maxPartials = Math.max(4, MAX_PARTIAL_BYTES / clusterSize);
  const forEachPart = async (
    parts: Iterable<ClusterPart>,
    apply: (part: ClusterPart) => Promise<void>,
  ): Promise<void> => {
    await forEachParallel(
      parts,
      async (part) => {
        await locked(state, part.cluster, () => apply(part));
        await evict(state, maxPartials);
      },
      { jobs },
    );
  };
  return {
    write: (offset, data) =>
      forEachPart(clusterParts(clusterSize, offset, data.length), (part) =>
        writePart(state, part, data.subarray(part.at, part.at + part.length)),
      ),
    zero: (offset, length) =>
      forEachPart(touchedParts(state, offset, length), (part) => writePart(state, part, undefined)),
    prepare: (offset, data) => prepareWhole(state, offset, data),
    flush: () => evict(state, 0),
  };
}

/** The parts of a range to be zeroed in whose clusters something is, or will be. */
function* touchedParts({ file, partials }: State, offset: number, length: number): Iterable<ClusterPart> {
  const { clusterSize } = file.geometry;
  const end = offset + length;
  const waiting = [...partials.keys()].filter((cluster) => file.map.get(cluster) === 0n);
  for (const cluster of waiting) {
    const from = Math.max(offset, cluster * clusterSize);
    const to = Math.min(end, (cluster + 1) * clusterSize);
    if (to > from) yield { cluster, start: from % clusterSize, at: from - offset, length: to - from };
  }
  yield* usedParts(file, offset, length);
}

/** Runs `task` when no other task for the same cluster runs. */
async function locked(state: State, cluster: number, task: () => Promise<void>): Promise<void> {
  const before = state.locks.get(cluster) ?? Promise.resolve();
  const mine = before.catch(() => undefined).then(task);
  state.locks.set(cluster, mine);
  try {
    await mine;
  } finally {
    if (state.locks.get(cluster) === mine) state.locks.delete(cluster);
  }
}

async function writePart(state: State, part: ClusterPart, data: Uint8Array | undefined): Promise<void> {
  const { clusterSize } = state.file.geometry;
  if (data?.length === clusterSize && !state.partials.has(part.cluster)) {
    await store(state, part.cluster, data);
    return;
  }
  const partial = state.partials.get(part.cluster) ?? (await load(state, part.cluster));
  state.partials.set(part.cluster, partial);
  if (data) partial.data.set(data, part.start);
  else partial.data.fill(0, part.start, part.start + part.length);
  partial.missing -= part.length;
  if (partial.missing > 0) return;
  await store(state, part.cluster, partial.data);
  state.partials.delete(part.cluster);
}

/** Packs the oldest partial clusters until at most `keep` are left; should they be written again, they are loaded. */
async function evict(state: State, keep: number): Promise<void> {
  if (state.partials.size <= keep) return;
  const surplus = [...state.partials.keys()].slice(0, state.partials.size - keep);
  const storePartial = (cluster: number): Promise<void> =>
    locked(state, cluster, async () => {
      const partial = state.partials.get(cluster);
      if (partial) await store(state, cluster, partial.data);
      state.partials.delete(cluster);
    });
  await forEachParallel(surplus, storePartial, { jobs: state.jobs });
}

async function load({ file, codec }: State, cluster: number): Promise<Partial> {
  const { clusterSize, clusterBits } = file.geometry;
  const data = Buffer.alloc(clusterSize);
  const mapping = decodeMapping(file.map.get(cluster), clusterBits);
  if (mapping.kind !== 'none') {
    const length = mapping.kind === 'plain' ? clusterSize : mapping.length;
    const stored = await readStored(file, mapping.offset, length);
    data.set(mapping.kind === 'plain' ? stored : await codec.unpack(stored, clusterSize));
  }
  return { data, missing: clusterSize };
}

/** Bytes of the file; those behind its present end are zero. */
async function readStored(file: Qcow2File, offset: number, length: number): Promise<Buffer> {
  const data = Buffer.alloc(length);
  const { size } = await file.target.handle.stat();
  const present = data.subarray(0, Math.max(0, Math.min(length, size - offset)));
  await readFully(file.target.path, file.target.handle, { data: present, offset });
  return data;
}

/** Writes a whole cluster: nothing for zeros, plain where it is plain already or does not become smaller, else packed. */
async function store({ file, codec }: State, cluster: number, data: Uint8Array): Promise<void> {
  const { clusterBits } = file.geometry;
  const old = decodeMapping(file.map.get(cluster), clusterBits);
  if (old.kind === 'packed') {
    file.allocator.release(old.offset, old.length);
    file.map.set(cluster, 0n);
  }
  if (old.kind === 'plain') await writeFully(file.target, old.offset, data);
  else if (!isZero(data)) {
    const stored = await smaller(codec, data);
    await writeFully(file.target, place(file, cluster, stored), stored);
  }
}

async function prepareWhole(
  { file, codec }: State,
  offset: number,
  data: Uint8Array,
): Promise<() => Promise<void>> {
  const waiting: { cluster: number; stored: Uint8Array }[] = [];
  for (const { cluster, at, length } of clusterParts(file.geometry.clusterSize, offset, data.length)) {
    const content = data.subarray(at, at + length);
    if (!isZero(content)) waiting.push({ cluster, stored: await smaller(codec, content) });
  }
  return async () => {
    const placed = waiting.map(({ cluster, stored }) => ({ stored, host: place(file, cluster, stored) }));
    for (const { host, stored } of placed) await writeFully(file.target, host, stored);
  };
}

/** The cluster packed or, when that would not be smaller, as it is. */
async function smaller(codec: ClusterCodec, data: Uint8Array): Promise<Uint8Array> {
  const packed = await codec.pack(data);
  return packed.length < data.length ? packed : data;
}

/** The host offset of a new place for a cluster: plain when `stored` is as long as a cluster, else packed. */
function place(file: Qcow2File, cluster: number, { length }: Uint8Array): number {
  const { clusterBits, clusterSize } = file.geometry;
  if (length === clusterSize) return hostCluster(file, cluster);
  const offset = file.allocator.bytes(length);
  file.map.set(cluster, encodeMapping({ kind: 'packed', offset, length }, clusterBits));
  return offset;
}
