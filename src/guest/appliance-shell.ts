import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { TsbuilderError, errnoOf } from '../errors.js';
import { GUESTFISH_PACKAGE } from '../io/guestfish.js';
import { guestfishLine } from './appliance-words.js';

/** A running guestfish that takes commands. Disposing it kills it and everything it has started. */
export interface GuestfishShell extends AsyncDisposable {
  /**
   * Runs one command, after those before it, and returns what it printed. Words are byte strings. guestfish ends at the
   * first command that fails; all later ones fail too.
   *
   * @throws TSB_NO_SPACE, TSB_TOOL_FAILED with guestfish's message
   */
  send(command: string, ...words: string[]): Promise<Buffer>;
  /** Waits for guestfish to end by itself, without another command. @throws TSB_TOOL_FAILED when it fails at that */
  end(): Promise<void>;
}

interface Waiting {
  readonly marker: Buffer;
  readonly resolve: (output: Buffer) => void;
  readonly reject: (error: Error) => void;
}

const KILL_AFTER_MS = 2000;
const MAX_STDERR = 64 * 1024;

/** Starts guestfish in its own process group, with `env` added to this process's environment. */
export function openGuestfishShell(
  env: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): GuestfishShell {
  signal?.throwIfAborted();
  const child = spawn('guestfish', ['--no-progress-bars'], {
    detached: true,
    env: { ...process.env, ...env, LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return shellOver(child, signal);
}

function shellOver(child: ChildProcess, signal: AbortSignal | undefined): GuestfishShell {
  const state = { output: new OutputQueue(), stderr: '', failure: undefined as Error | undefined };
  const kill = groupKiller(child);
  signal?.addEventListener('abort', kill, { once: true });
  child.stdout?.on('data', (chunk: Buffer) => state.output.take(chunk));
  child.stderr?.on(
    'data',
    (chunk: Buffer) => (state.stderr = (state.stderr + chunk.toString()).slice(-MAX_STDERR)),
  );
  // A guestfish that ends at an error does not read on; its status tells the story.
  child.stdin?.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    const fail = (error: Error): void => {
      signal?.removeEventListener('abort', kill);
      state.failure ??= signal?.aborted ? (signal.reason as Error) : error;
      state.output.fail(state.failure);
      resolve();
    };
    child.once('error', (error) => fail(startError(error)));
    child.once('close', (status) => fail(endError(status, state.stderr)));
  });
  return {
    send(command, ...words) {
      if (state.failure) return Promise.reject(state.failure);
      const marker = randomBytes(16).toString('hex');
      const lines = guestfishLine(command, words) + guestfishLine('echo', [marker]);
      const answer = state.output.expect(marker);
      child.stdin?.write(lines);
      return answer;
    },
    async end() {
      child.stdin?.end();
      await closed;
      if (child.exitCode !== 0) throw state.failure ?? endError(child.exitCode, state.stderr);
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) kill();
      await closed;
    },
  };
}

/** Divides what guestfish prints among the commands that wait for it. */
class OutputQueue {
  readonly #waiting: Waiting[] = [];
  #pieces: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  expect(marker: string): Promise<Buffer> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ marker: Buffer.from(`${marker}\n`), resolve, reject });
    });
  }

  /** A marker cannot be guessed by what comes before it, so its first appearance is the end of the output. */
  take(chunk: Buffer): void {
    let from = Math.max(0, this.#pieces.length - 64);
    this.#pieces = Buffer.concat([this.#pieces, chunk]);
    for (;;) {
      const [next] = this.#waiting;
      const end = next ? this.#pieces.indexOf(next.marker, from) : -1;
      if (!next || end < 0) return;
      this.#waiting.shift();
      next.resolve(this.#pieces.subarray(0, end));
      this.#pieces = this.#pieces.subarray(end + next.marker.length);
      from = 0;
    }
  }

  fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** Ends the process group of `child`, which has the appliance in it: kindly first. */
function groupKiller(child: ChildProcess): () => void {
  const send = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // The group is already gone.
    }
  };
  return () => {
    send('SIGTERM');
    const timer = setTimeout(() => send('SIGKILL'), KILL_AFTER_MS);
    child.once('close', () => clearTimeout(timer));
  };
}

function startError(error: Error): TsbuilderError {
  if (errnoOf(error) === 'ENOENT') {
    return new TsbuilderError('TSB_TOOL_MISSING', 'guestfish: program not found', {
      hint: `Install it: apt-get install ${GUESTFISH_PACKAGE}`,
      cause: error,
    });
  }
  return new TsbuilderError('TSB_TOOL_FAILED', `guestfish cannot be started: ${error.message}`, {
    cause: error,
  });
}

function endError(status: number | null, stderr: string): TsbuilderError {
  const messages = [...stderr.matchAll(/libguestfs: error: (.*)/g)].map((match) => match[1] ?? '');
  const text = messages.join('; ') || stderr.trim().split('\n').slice(-5).join('\n');
  const how = status === null ? 'was killed' : status === 0 ? 'has ended' : `ended with status ${status}`;
  const code = /No space left on device/.test(text) ? 'TSB_NO_SPACE' : 'TSB_TOOL_FAILED';
  return new TsbuilderError(code, `guestfish ${how}${text === '' ? '' : `: ${text}`}`);
}
