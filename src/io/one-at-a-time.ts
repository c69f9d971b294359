/** Runs a job when those given before it are over, and returns what it returns. */
export type Serially = <T>(job: () => Promise<T>) => Promise<T>;

/** Makes a runner of jobs: one after the other, in the order in which they were given; one that fails does not stop the next. */
export function oneAtATime(): Serially {
  let last: Promise<unknown> = Promise.resolve();
  return (job) => {
    const result = last.then(job);
    last = result.catch(() => undefined);
    return result;
  };
}
