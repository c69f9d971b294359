import { spawn } from 'node:child_process';
import { TsbuilderError } from '../errors.js';
import { endingWithParent } from './template-root.js';

/** How the `xz` program packs. */
export interface XzPacking {
  /** Bytes of content in each block. */
  readonly blockSize: number;
  /** `0` to `9`, or one of these with an `e`. */
  readonly preset: string;
  readonly jobs: number;
  readonly signal: AbortSignal;
}

const MAX_STDERR = 4096;
/** What a shell ends with when the program that it is to start is missing. */
const NOT_FOUND = 127;

/**
 * Packs what `feed` writes into the file `path`, in blocks that can be decoded in parallel and have their sizes in their headers (at
 * least two threads: with one, xz leaves them out). A buffer is free for reuse when its write has resolved.
 *
 * @throws TSB_TOOL_MISSING, TSB_TOOL_FAILED, TSB_NO_SPACE, the abort reason, and what `feed` throws
 */
export async function packXz(
  path: string,
  packing: XzPacking,
  feed: (write: (data: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  packing.signal.throwIfAborted();
  const xz = startXz(path, packing);
  try {
    await feed(xz.write);
    await xz.end();
  } catch (error) {
    xz.kill();
    await xz.ended;
    packing.signal.throwIfAborted();
    throw xz.failure() ?? error;
  }
}

interface RunningXz {
  readonly write: (data: Uint8Array) => Promise<void>;
  readonly end: () => Promise<void>;
  readonly kill: () => void;
  readonly ended: Promise<unknown>;
  /** Why the program ended by itself, when it did. */
  readonly failure: () => TsbuilderError | undefined;
}

function startXz(path: string, { blockSize, preset, jobs, signal }: XzPacking): RunningXz {
  const options = [`-${preset}`, `--block-size=${blockSize}`, `--threads=${Math.max(2, jobs)}`];
  const xz = `exec xz --compress --stdout --check=crc64 ${options.join(' ')} >"$1"`;
  const [file, args] = endingWithParent(['sh', '-c', xz, 'sh', path]);
  const child = spawn(file, args, {
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['pipe', 'ignore', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  const { stdin } = child;
  let stderr = '';
  let status: number | undefined;
  child.stderr.on('data', (text: Buffer) => (stderr = (stderr + text.toString()).slice(-MAX_STDERR)));
  // The status, or that it could not be started, tells more than the pipe.
  stdin.on('error', () => undefined);
  const ended = new Promise<void>((done) => {
    child.once('error', (error) => {
      stderr ||= error.message;
      status ??= 'code' in error && error.code === 'ENOENT' ? NOT_FOUND : undefined;
    });
    child.once('close', (code) => {
      status ??= code ?? undefined;
      done();
    });
  });
  const failure = (): TsbuilderError | undefined =>
    status === undefined || status === 0 ? undefined : xzFailure(status, stderr);
  return {
    ended,
    failure,
    kill: () => void child.kill('SIGKILL'),
    write: (data) =>
      new Promise((done, fail) => {
        stdin.write(data, (error) => (error ? fail(error) : done()));
      }),
    async end() {
      stdin.end();
      await ended;
      signal.throwIfAborted();
      if (status !== 0) throw failure() ?? xzFailure(undefined, stderr);
    },
  };
}

function xzFailure(status: number | undefined, stderr: string): TsbuilderError {
  if (status === NOT_FOUND) {
    return new TsbuilderError('TSB_TOOL_MISSING', 'xz: program not found', {
      hint: 'Install it: apt-get install xz-utils',
    });
  }
  if (stderr.includes('No space left on device'))
    return new TsbuilderError('TSB_NO_SPACE', 'there is no space left for the packed file');
  const how = status === undefined ? 'was killed' : `failed with status ${status}`;
  return new TsbuilderError('TSB_TOOL_FAILED', `xz ${how}: ${stderr.trim()}`, { details: { status } });
}
