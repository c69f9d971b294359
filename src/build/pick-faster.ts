/** How bytes get into a file: through the kernel's page cache, or past it. */
export type Way = 'cached' | 'direct';

/** Chooses between two ways of doing the same work by how long each has taken. */
export interface PickWay {
  /** The way for the next piece of work. */
  next(): Way;
  /** Tells that a piece of the usual size took `milliseconds`. */
  took(way: Way, milliseconds: number): void;
  /** The way turned out not to be one. */
  never(way: Way): void;
}

/** Pieces by which each way is judged first. */
const TRIALS = 4;

/** How much the latest piece counts against those before it. */
const WEIGHT = 0.25;

/** Tries both ways in turns, then goes the one that was faster, as long as it stays so. */
export function pickFaster(hasDirect: boolean): PickWay {
  const chosen = { cached: 0, direct: hasDirect ? 0 : Infinity };
  const cost: Partial<Record<Way, number>> = {};
  const next = (): Way => {
    if (chosen.direct === Infinity) return 'cached';
    if (Math.min(chosen.cached, chosen.direct) < TRIALS)
      return chosen.cached <= chosen.direct ? 'cached' : 'direct';
    return (cost.direct ?? 0) < (cost.cached ?? 0) ? 'direct' : 'cached';
  };
  return {
    next() {
      const way = next();
      chosen[way] += 1;
      return way;
    },
    took(way, milliseconds) {
      const before = cost[way];
      cost[way] = before === undefined ? milliseconds : before + (milliseconds - before) * WEIGHT;
    },
    never(way) {
      chosen[way] = Infinity;
    },
  };
}
