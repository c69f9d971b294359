import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { TsbuilderError, messageOf } from '../errors.js';

/** How to run the command of `--run`. */
export interface RunCommandOptions {
  /** Added to the environment; what is empty is set too, so that nothing of the caller's own shows through. */
  readonly variables: Readonly<Record<string, string>>;
  /** Where its output goes. Default: where this program's goes. */
  readonly stdout?: 'stdout' | 'stderr' | undefined;
  readonly signal?: AbortSignal | undefined;
}

const GRACE_MS = 5000;

/**
 * Runs a command line that the user wrote, by `/bin/sh -c`. It is passed as it is: values reach it as environment variables only. When
 * `signal` is aborted it gets SIGTERM, and SIGKILL five seconds later.
 *
 * @returns its exit status, 128 + N when signal N ended it
 * @throws TSB_TOOL_FAILED when the shell cannot be started
 */
export function runUserCommand(command: string, options: RunCommandOptions): Promise<number> {
  // On a terminal it stays in the foreground group, where it can read; elsewhere it gets a group of its own, all of which can be ended.
  const grouped = !process.stdin.isTTY;
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', command], {
      env: { ...process.env, ...options.variables },
      stdio: ['inherit', options.stdout === 'stderr' ? 2 : 'inherit', 'inherit'],
      detached: grouped,
    });
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      send(child, 'SIGTERM', grouped);
      timer = setTimeout(() => send(child, 'SIGKILL', grouped), GRACE_MS);
    };
    if (options.signal?.aborted) stop();
    else options.signal?.addEventListener('abort', stop, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', stop);
    };
    child.once('error', (error) => {
      settle();
      const message = `/bin/sh cannot be started: ${messageOf(error)}`;
      reject(new TsbuilderError('TSB_TOOL_FAILED', message, { cause: error }));
    });
    child.once('exit', (status, signal) => {
      settle();
      resolve(status ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}

function send(child: ChildProcess, signal: NodeJS.Signals, group: boolean): void {
  if (child.pid === undefined) return;
  try {
    process.kill(group ? -child.pid : child.pid, signal);
  } catch {
    // It has gone meanwhile.
  }
}
