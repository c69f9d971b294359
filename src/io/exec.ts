import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { TsbuilderError, errnoOf } from '../errors.js';

/** How to run a program. Arguments are never interpreted by a shell. */
export interface ExecOptions {
  readonly signal?: AbortSignal | undefined;
  /** Text or bytes for the program's standard input; without it the program reads end-of-file. */
  readonly input?: string | Uint8Array | undefined;
  /** Added to the environment; `LC_ALL=C` is always set, so that messages can be read. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * A new file for standard error; standard output is thrown away. Without it both come through pipes, by which a program ends that goes
   * on writing when this process has been killed.
   */
  readonly errorFile?: string | undefined;
  /** An open file of this process that the program keeps open too: what is locked by it stays so until both have ended. */
  readonly holds?: number | undefined;
  /** Exit statuses that are not failures. Default: only 0. */
  readonly okStatus?: readonly number[];
  /** The Debian package that has the program, for the message when it is missing. */
  readonly debianPackage?: string | undefined;
  /** What messages call the program. Default: `file`. For one that is started by way of another. */
  readonly name?: string | undefined;
  /** Called with the process id once the program runs. */
  readonly onStart?: ((pid: number) => void) | undefined;
  /** Called with each piece of standard error as it arrives. */
  readonly onStderr?: (text: string) => void;
}

/** What a program left behind. */
export interface ExecResult {
  readonly status: number;
  readonly stdout: string;
  /** Standard output as it came, for what is no text. At most 64 MiB and a piece. */
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

const MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * Runs `file` with `args` in its own process group and waits for it.
 *
 * On abort the whole group gets SIGTERM, then SIGKILL after two seconds, and the abort reason is thrown only after the
 * program has gone.
 *
 * @throws TSB_TOOL_MISSING when the program is not installed, TSB_TOOL_FAILED with the end of its stderr when its
 *   status is not in `okStatus`
 */
export async function exec(
  file: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  options.signal?.throwIfAborted();
  const { errorFile } = options;
  const result = await (errorFile === undefined
    ? runChild(file, args, options)
    : runWithErrorFile(errorFile, { file, args }, options));
  if (!(options.okStatus ?? [0]).includes(result.status)) throw failure(options.name ?? file, file, result);
  return result;
}

/** Runs a program whose standard error goes to the new file `path`. */
async function runWithErrorFile(
  path: string,
  command: { file: string; args: readonly string[] },
  options: ExecOptions,
): Promise<ExecResult> {
  await using errors = await open(path, 'wx', 0o600);
  const result = await runChild(command.file, command.args, { ...options, errorFd: errors.fd });
  return { ...result, stderr: result.stderr + (await readFile(path, 'utf8')) };
}

function runChild(
  file: string,
  args: readonly string[],
  options: ExecOptions & { readonly errorFd?: number },
): Promise<ExecResult> {
  const { holds, errorFd } = options;
  const held = holds === undefined ? [] : [holds];
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      detached: true,
      env: { ...process.env, ...options.env, LC_ALL: 'C' },
      stdio: ['pipe', errorFd === undefined ? 'pipe' : 'ignore', errorFd ?? 'pipe', ...held],
    }) as ChildProcessByStdio<Writable, Readable | null, Readable | null>;
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr, options.onStderr);
    const stop = groupKiller(() => child.pid);
    options.signal?.addEventListener('abort', stop.begin, { once: true });
    const settle = (finish: () => void): void => {
      stop.end();
      options.signal?.removeEventListener('abort', stop.begin);
      if (options.signal?.aborted) reject(options.signal.reason as Error);
      else finish();
    };
    if (child.pid !== undefined) options.onStart?.(child.pid);
    child.once('error', (error) => settle(() => reject(spawnError(file, error, options.debianPackage))));
    child.once('close', (code, signal) =>
      settle(() => {
        const stdoutBytes = stdout();
        const said = stderr().toString();
        resolve({
          status: code ?? 128,
          stdout: stdoutBytes.toString(),
          stdoutBytes,
          stderr: signal ? `killed by ${signal}\n${said}` : said,
        });
      }),
    );
    // A program that exits without reading its input makes the pipe fail; its status tells the story.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);
  });
}

function collect(stream: Readable | null, onText?: (text: string) => void): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    onText?.(chunk.toString());
    if (size < MAX_OUTPUT) chunks.push(chunk);
    size += chunk.length;
  });
  return () => Buffer.concat(chunks);
}

function groupKiller(pid: () => number | undefined): { begin: () => void; end: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const send = (signal: NodeJS.Signals): void => {
    const target = pid();
    if (target === undefined) return;
    try {
      process.kill(-target, signal);
    } catch {
      // The group is already gone.
    }
  };
  return {
    begin: () => {
      send('SIGTERM');
      timer = setTimeout(() => send('SIGKILL'), 2000);
    },
    end: () => clearTimeout(timer),
  };
}

function spawnError(file: string, error: Error, debianPackage: string | undefined): TsbuilderError {
  if (errnoOf(error) === 'ENOENT') {
    const hint = debianPackage === undefined ? 'Install it.' : `Install it: apt-get install ${debianPackage}`;
    return new TsbuilderError('TSB_TOOL_MISSING', `${file}: program not found`, { hint, cause: error });
  }
  return new TsbuilderError('TSB_TOOL_FAILED', `${file}: cannot be started: ${error.message}`, {
    cause: error,
  });
}

function failure(name: string, program: string, result: ExecResult): TsbuilderError {
  const tail = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-5).join('\n');
  return new TsbuilderError('TSB_TOOL_FAILED', `${name} failed with status ${result.status}: ${tail}`, {
    // Not the arguments, which can hold secrets.
    details: { program, status: result.status },
  });
}

/** Whether `look`, which runs tools, finds them installed. @throws what it throws but TSB_TOOL_MISSING */
export async function toolsPresent(look: () => Promise<unknown>): Promise<boolean> {
  try {
    await look();
    return true;
  } catch (error) {
    if (error instanceof TsbuilderError && error.code === 'TSB_TOOL_MISSING') return false;
    throw error;
  }
}
