import { setMaxListeners } from 'node:events';
import { TsbuilderError } from '../errors.js';

/** What can end a server, besides the command that runs beside it. */
export type EndCause = 'signal' | 'parent' | 'last client';

/** When a server ends and why. Disposing it stops what the disks are still doing. */
export interface Ending extends Disposable {
  /** Aborted when the server is to end. */
  readonly signal: AbortSignal;
  /** The signal for the disks: aborted too when the server is to end before it is ready; afterwards only by disposing this. */
  readonly opening: AbortSignal;
  readonly end: (cause: EndCause) => void;
  readonly cause: () => EndCause | undefined;
  /** From now on requests in flight are to be answered. @throws the abort reason when the end has come already */
  readonly ready: () => void;
}

/** The end of a server: `signal` is the user's. */
export function newEnding(signal: AbortSignal): Ending {
  const server = new AbortController();
  const disks = new AbortController();
  // Every read listens for the end, and there is no telling how many there are at a time.
  setMaxListeners(0, disks.signal);
  let cause: EndCause | undefined;
  let isReady = false;
  const end: Ending['end'] = (why) => {
    cause ??= why;
    const reason: unknown = why === 'signal' ? signal.reason : interrupted(why);
    server.abort(reason);
    if (!isReady) disks.abort(reason);
  };
  const onAbort = (): void => end('signal');
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    signal: server.signal,
    opening: disks.signal,
    end,
    cause: () => cause,
    ready() {
      server.signal.throwIfAborted();
      isReady = true;
    },
    [Symbol.dispose]() {
      signal.removeEventListener('abort', onAbort);
      disks.abort(interrupted('end of the server'));
    },
  };
}

function interrupted(why: string): TsbuilderError {
  return new TsbuilderError('TSB_INTERRUPTED', `the server was ended: ${why}`);
}
