import { spawn } from 'node:child_process';
import { type ErrorCode, TsbuilderError } from '../errors.js';
import type { Progress, Step } from '../progress.js';

/** What a process in the background tells the one that started it, until it is ready. */
type Message =
  | {
      readonly kind: 'step';
      readonly id: number;
      readonly label: string;
      readonly totalBytes?: number | undefined;
    }
  | { readonly kind: 'advance'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'warn' | 'detail'; readonly message: string }
  | { readonly kind: 'ready'; readonly result: unknown }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint?: string | undefined;
      readonly details: TsbuilderError['details'];
    };

/**
 * Starts this program again, with the command line `args`, as a process that outlives this one, and waits until it is ready. Until then
 * its progress is shown here, and it ends when this process does.
 *
 * @returns what it said when it was ready
 * @throws the error it failed with; the abort reason when `signal` is aborted, after it has ended
 */
export function startInBackground(
  args: readonly string[],
  options: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<unknown> {
  const { progress, signal } = options;
  const program = process.argv[1] ?? '';
  const child = spawn(process.execPath, [...process.execArgv, program, ...args], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    detached: true,
  });
  const show = showProgress(progress);
  return new Promise((resolve, reject) => {
    let failure: unknown;
    const stop = (): void => void child.kill('SIGTERM');
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const settle = (finish: () => void): void => {
      signal.removeEventListener('abort', stop);
      show.close();
      finish();
    };
    child.on('message', (message: Message) => {
      if (message.kind === 'failed') failure = new TsbuilderError(message.code, message.message, message);
      else if (message.kind === 'ready') {
        child.disconnect();
        child.unref();
        settle(() => resolve(message.result));
      } else show.take(message);
    });
    child.once('error', (error) => settle(() => reject(error)));
    child.once('exit', (status) =>
      settle(() =>
        reject(
          (signal.aborted
            ? signal.reason
            : (failure ?? new Error(`the server ended with status ${status ?? '?'}`))) as Error,
        ),
      ),
    );
  });
}

function showProgress(progress: Progress): { take(message: Message): void; close(): void } {
  const steps = new Map<number, Step>();
  return {
    take(message) {
      if (message.kind === 'step') steps.set(message.id, progress.step(message.label, message.totalBytes));
      else if (message.kind === 'advance') steps.get(message.id)?.advance(message.bytes);
      else if (message.kind === 'warn') progress.warn(message.message);
      else if (message.kind === 'detail') progress.detail(message.message);
      else if (message.kind === 'end') {
        steps.get(message.id)?.[Symbol.dispose]();
        steps.delete(message.id);
      }
    },
    close() {
      for (const step of steps.values()) step[Symbol.dispose]();
      steps.clear();
    },
  };
}

/** The other end: what this process, started by `startInBackground`, tells. */
export interface Foreground {
  /** Shown by the process that waits; nowhere once that has gone. */
  readonly progress: Progress;
  /** Aborted when the process that waits goes away before `ready`. */
  readonly abandoned: AbortSignal;
  /** Lets it go. */
  ready(result: unknown): void;
  failed(error: unknown): void;
}

/** @throws Error when nobody waits: this process was not started by `startInBackground` */
export function connectToForeground(): Foreground {
  if (!process.send) throw new Error('this command line is for processes in the background');
  const send = (message: Message, then: () => void = () => undefined): void => {
    if (process.connected) process.send?.(message, then);
  };
  const abandoned = new AbortController();
  let isReady = false;
  process.once('disconnect', () => {
    if (!isReady)
      abandoned.abort(new TsbuilderError('TSB_INTERRUPTED', 'the program that waits for this one has ended'));
  });
  let ids = 0;
  return {
    progress: {
      step(label, totalBytes) {
        const id = (ids += 1);
        send({ kind: 'step', id, label, totalBytes });
        return {
          advance: (bytes) => send({ kind: 'advance', id, bytes }),
          [Symbol.dispose]: () => send({ kind: 'end', id }),
        };
      },
      warn: (message) => send({ kind: 'warn', message }),
      detail: (message) => send({ kind: 'detail', message }),
    },
    abandoned: abandoned.signal,
    ready(result) {
      isReady = true;
      send({ kind: 'ready', result });
    },
    failed(error) {
      const known = error instanceof TsbuilderError ? error : undefined;
      const { code = 'TSB_INTERNAL', hint, details = {} } = known ?? {};
      const message = error instanceof Error ? error.message : String(error);
      // The open channel would keep this process alive.
      send({ kind: 'failed', code, message, hint, details }, () => process.connected && process.disconnect());
    },
  };
}
