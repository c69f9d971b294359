/** Where the content of a cluster is: in the disk below, in the overlay, or nowhere because it is zero. */
export type ClusterState = 'base' | 'data' | 'zero';

/** A range of bytes whose clusters are in one state. */
export interface StateRun {
  readonly offset: number;
  readonly length: number;
  readonly state: ClusterState;
}

/** The state of every cluster of a disk; all are `base` at first. */
export interface ClusterStates {
  get(cluster: number): ClusterState;
  set(cluster: number, count: number, state: ClusterState): void;
  /** The bytes `offset..offset+length` as runs in order, neighbours never alike. */
  runs(offset: number, length: number): Iterable<StateRun>;
}

const STATES = ['base', 'data', 'zero'] as const;
const PAGE = 4096;

/**
 * States of clusters of `clusterSize` bytes. Memory is taken for what has changed only: a byte for each cluster, in pages of
 * 4096, so that a disk may claim to be of any size.
 */
export function createClusterStates(clusterSize: number): ClusterStates {
  const pages = new Map<number, Uint8Array>();
  const codeOf = (cluster: number): number => pages.get(Math.floor(cluster / PAGE))?.[cluster % PAGE] ?? 0;
  const get = (cluster: number): ClusterState => STATES[codeOf(cluster)] ?? 'base';
  /** The first cluster from `cluster` on, below `end`, in another state than `state`; pages that are not there are skipped. */
  const nextOther = (cluster: number, end: number, state: ClusterState): number => {
    let at = cluster;
    while (at < end && get(at) === state) {
      const skip = state === 'base' && !pages.has(Math.floor(at / PAGE));
      at = skip ? (Math.floor(at / PAGE) + 1) * PAGE : at + 1;
    }
    return Math.min(at, end);
  };
  return {
    get,
    set(cluster, count, state) {
      for (let at = cluster; at < cluster + count; at += 1) {
        const number = Math.floor(at / PAGE);
        const page = pages.get(number) ?? new Uint8Array(PAGE);
        pages.set(number, page);
        page[at % PAGE] = STATES.indexOf(state);
      }
    },
    *runs(offset, length) {
      const end = offset + length;
      for (let at = offset; at < end;) {
        const cluster = Math.floor(at / clusterSize);
        const state = get(cluster);
        const next = Math.min(end, nextOther(cluster, Math.ceil(end / clusterSize), state) * clusterSize);
        yield { offset: at, length: next - at, state };
        at = next;
      }
    },
  };
}
