/**
 * How far a file that is being written has come, and who waits for more. The mark only moves forward, except over bytes
 * that nobody has been told about.
 */
export interface DownloadMark {
  /** Bytes from the start of the file that may be read. */
  readonly reached: number;
  /** End of the bytes that some reader has been told are there: these must never change. */
  readonly promised: number;
  /** Raises the mark to `end` and wakes those who wait for it. */
  advance(end: number): void;
  /** Takes back everything above what has been promised. */
  rollBack(): void;
  /** Rejects all waiters, now and later, with `error`. */
  fail(error: unknown): void;
  /** Resolves as soon as the first `end` bytes may be read. @throws the download's failure or the abort reason */
  waitFor(end: number, signal?: AbortSignal): Promise<void>;
}

interface Waiter {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A mark at zero. */
export function downloadMark(): DownloadMark {
  const waiters = new Set<Waiter>();
  let reached = 0;
  let promised = 0;
  let failure: { error: Error } | undefined;
  const wake = (): void => {
    for (const waiter of waiters) {
      if (waiter.end > reached) continue;
      promised = Math.max(promised, waiter.end);
      waiter.resolve();
    }
  };
  return {
    get reached() {
      return reached;
    },
    get promised() {
      return promised;
    },
    advance(end) {
      reached = Math.max(reached, end);
      wake();
    },
    rollBack() {
      reached = promised;
    },
    fail(error) {
      failure ??= { error: error instanceof Error ? error : new Error(String(error)) };
      for (const waiter of waiters) waiter.reject(error);
    },
    waitFor(end, signal) {
      if (end <= reached) {
        promised = Math.max(promised, end);
        return Promise.resolve();
      }
      if (failure) return Promise.reject(failure.error);
      return waitIn(waiters, end, signal);
    },
  };
}

async function waitIn(waiters: Set<Waiter>, end: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = withResolvers();
  const waiter = { end, resolve, reject };
  const onAbort = (): void => reject(signal?.reason);
  waiters.add(waiter);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    waiters.delete(waiter);
    signal?.removeEventListener('abort', onAbort);
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
