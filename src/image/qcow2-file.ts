import type { ClusterAllocator } from './cluster-allocator.js';
import type { ClusterMap } from './cluster-map.js';
import { type Geometry, decodeMapping, encodeMapping } from './qcow2-format.js';
import type { WriteTarget } from './write-fully.js';

/** An image being written, as its parts see it. */
export interface Qcow2File {
  readonly target: WriteTarget;
  readonly geometry: Geometry;
  readonly map: ClusterMap;
  readonly allocator: ClusterAllocator;
}

/** Part of a write that falls into one guest cluster. */
export interface ClusterPart {
  readonly cluster: number;
  /** Offset within the cluster. */
  readonly start: number;
  /** Offset within the whole range. */
  readonly at: number;
  readonly length: number;
}

/** The range in the guest clusters it touches. */
export function* clusterParts(clusterSize: number, offset: number, length: number): Iterable<ClusterPart> {
  for (let at = 0; at < length;) {
    const start = (offset + at) % clusterSize;
    const count = Math.min(length - at, clusterSize - start);
    yield { cluster: Math.floor((offset + at) / clusterSize), start, at, length: count };
    at += count;
  }
}

/** As `clusterParts`, without those in stretches of the disk where nothing has a place in the file. */
export function* usedParts(file: Qcow2File, offset: number, length: number): Iterable<ClusterPart> {
  const { clusterSize } = file.geometry;
  const end = offset + length;
  for (let at = offset; at < end;) {
    const cluster = Math.floor(at / clusterSize);
    const used = file.map.nextPossible(cluster);
    if (used > cluster) at = used * clusterSize;
    else {
      const start = at % clusterSize;
      const count = Math.min(end - at, clusterSize - start);
      if (file.map.get(cluster) !== 0n) yield { cluster, start, at: at - offset, length: count };
      at += count;
    }
  }
}

/** The host offset of a guest cluster's plain data; a cluster that has none gets it. */
export function hostCluster(file: Qcow2File, cluster: number): number {
  const mapping = decodeMapping(file.map.get(cluster), file.geometry.clusterBits);
  if (mapping.kind === 'plain') return mapping.offset;
  const offset = file.allocator.clusters(1);
  file.map.set(cluster, encodeMapping({ kind: 'plain', offset }, file.geometry.clusterBits));
  return offset;
}
