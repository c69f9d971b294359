/** Hands out space of a new qcow2 file from its start to its end, and counts the references to each host cluster. */
export interface ClusterAllocator {
  /** First byte behind all clusters handed out. */
  readonly end: number;
  /** Host offset of `count` new, consecutive clusters with one reference each. */
  clusters(count: number): number;
  /** Host offset of `length` new bytes (at most a cluster); several such pieces share a cluster. */
  bytes(length: number): number;
  /** Takes back one reference from each cluster that the range touches. */
  release(offset: number, length: number): void;
  /** The reference counts of clusters `from` up to `to`, big-endian, 16 bits each; 0 behind the end. */
  encodeCounts(from: number, to: number): Buffer;
}

/** An allocator whose first cluster, the header's, is taken. */
export function createClusterAllocator(clusterSize: number): ClusterAllocator {
  let counts = new Uint16Array(1024);
  let next = 0;
  /** Where the next compressed piece goes, and the end of the cluster that it begins in. */
  let pieceAt = 0;
  let pieceEnd = 0;
  const reference = (offset: number, length: number, step: number): void => {
    const last = Math.floor((offset + length - 1) / clusterSize);
    for (let index = Math.floor(offset / clusterSize); index <= last; index += 1) {
      counts[index] = (counts[index] ?? 0) + step;
    }
  };
  const take = (count: number): number => {
    const offset = next * clusterSize;
    next += count;
    if (next > counts.length) counts = grown(counts, next);
    return offset;
  };
  const clusters = (count: number): number => {
    const offset = take(count);
    reference(offset, count * clusterSize, 1);
    return offset;
  };
  clusters(1);
  return {
    get end() {
      return next * clusterSize;
    },
    clusters,
    bytes(length) {
      if (pieceAt + length > pieceEnd) {
        const fresh = take(1);
        // A piece may run on into the next host cluster only if that directly follows.
        if (fresh !== pieceEnd) pieceAt = fresh;
        pieceEnd = fresh + clusterSize;
      }
      const offset = pieceAt;
      pieceAt += length;
      reference(offset, length, 1);
      return offset;
    },
    release: (offset, length) => reference(offset, length, -1),
    encodeCounts(from, to) {
      const part = new Uint16Array(to - from);
      part.set(counts.subarray(from, Math.min(to, next)));
      return Buffer.from(part.buffer).swap16();
    },
  };
}

function grown(counts: Uint16Array<ArrayBuffer>, needed: number): Uint16Array<ArrayBuffer> {
  const larger = new Uint16Array(Math.max(needed, counts.length * 2));
  larger.set(counts);
  return larger;
}
