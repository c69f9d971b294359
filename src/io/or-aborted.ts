/**
 * What `work` gives, unless `signal` is aborted first: then its reason is thrown at once. For what cannot be stopped, such as opening a pipe that
 * nobody writes to. `work` must have nothing to clean up.
 */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** The pieces of `stream` until `signal` is aborted, as `orAborted`. */
export async function* untilAborted<T>(
  stream: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  const pieces = stream[Symbol.asyncIterator]();
  for (;;) {
    const next = await orAborted(pieces.next(), signal);
    if (next.done === true) return;
    yield next.value;
  }
}
