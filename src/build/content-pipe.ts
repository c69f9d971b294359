/** Carries bytes from who writes them in order to who wants them block by block. Neither goes ahead of the other. */
export interface ContentPipe {
  /** Resolves when all of `data` has been taken; rejects when `signal` is aborted. */
  write(data: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Fills `into` with what comes next behind what was asked for before; rejects when `signal` is aborted. */
  fill(into: Uint8Array, signal: AbortSignal): Promise<void>;
}

interface Wanted {
  readonly into: Uint8Array;
  filled: number;
  readonly done: () => void;
}

/** An empty pipe. */
export function createContentPipe(): ContentPipe {
  const wanted: Wanted[] = [];
  let wake = (): void => undefined;
  const give = (head: Wanted, data: Uint8Array): number => {
    const part = data.subarray(0, head.into.length - head.filled);
    head.into.set(part, head.filled);
    head.filled += part.length;
    if (head.filled === head.into.length) {
      wanted.shift();
      head.done();
    }
    return part.length;
  };
  return {
    async write(data, signal) {
      for (let at = 0; at < data.length;) {
        const head = wanted[0];
        if (head) at += give(head, data.subarray(at));
        else await orAborted(signal, (done) => (wake = done));
      }
    },
    fill: (into, signal) =>
      orAborted(signal, (done) => {
        wanted.push({ into, filled: 0, done });
        wake();
      }),
  };
}

/** Waits until `begin`'s callback is called or `signal` is aborted. */
async function orAborted(signal: AbortSignal, begin: (done: () => void) => void): Promise<void> {
  let stop = (): void => undefined;
  try {
    await new Promise<void>((done, fail) => {
      stop = () => fail(signal.reason as Error);
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop();
      else begin(done);
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
