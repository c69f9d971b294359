import { setMaxListeners } from 'node:events';

/**
 * Runs `jobs` copies of `worker` at once, each taking items from one shared iterator until it is empty.
 *
 * The first failure aborts the signal that all workers were given; every worker is awaited before that failure is
 * thrown, so that nothing is still running when the caller cleans up.
 */
export async function forEachParallel<T>(
  items: Iterable<T>,
  worker: (item: T, signal: AbortSignal) => Promise<void>,
  options: { jobs: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const controller = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, controller.signal]) : controller.signal;
  // A worker may do much at a time, all of which listens; Node takes more than ten for a leak.
  setMaxListeners(0, signal);
  const iterator = items[Symbol.iterator]();
  const run = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      signal.throwIfAborted();
      await worker(next.value, signal);
    }
  };
  await settleAll(
    Array.from({ length: Math.max(1, options.jobs) }, () => run()),
    controller,
  );
}

/**
 * Awaits every task; the first rejection aborts `controller` (so the others can stop) and is thrown after all of
 * them have settled.
 */
async function settleAll(tasks: readonly Promise<unknown>[], controller: AbortController): Promise<void> {
  let failure: { error: unknown } | undefined;
  await Promise.all(
    tasks.map((task) =>
      task.catch((error: unknown) => {
        failure ??= { error };
        controller.abort(error);
      }),
    ),
  );
  if (failure) throw failure.error;
}
