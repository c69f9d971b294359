/** Lets tasks on ranges that do not overlap run at once, and those on ranges that do one after the other. */
export interface RangeLock {
  /** Runs `task` when every earlier task whose range overlaps `first..end` is over. Tasks must not nest. */
  run<T>(first: number, end: number, task: () => Promise<T>): Promise<T>;
}

interface Held {
  readonly first: number;
  readonly end: number;
  readonly over: Promise<unknown>;
}

/** A lock that nobody holds. */
export function createRangeLock(): RangeLock {
  const held = new Set<Held>();
  return {
    async run(first, end, task) {
      const earlier = [...held].filter((other) => other.first < end && first < other.end);
      const work = Promise.allSettled(earlier.map(({ over }) => over)).then(task);
      const own: Held = { first, end, over: work };
      held.add(own);
      try {
        return await work;
      } finally {
        held.delete(own);
      }
    },
  };
}
