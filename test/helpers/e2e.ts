import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ErrorCode } from '../../src/errors.js';

/** The built program: `npm test` builds it first. */
const PROGRAM = join(import.meta.dirname, '..', '..', 'dist', 'main.cjs');

/** How a run of the program ended, and what it said. */
export interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A run of the program that is under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
}

/** A user of the program: a home, a cache, a working folder, and nothing of this machine's own settings. */
export interface Desk extends AsyncDisposable {
  readonly path: string;
  /** The working folder, empty at first. */
  readonly work: string;
  readonly cache: string;
  readonly env: Readonly<Record<string, string>>;
  /** The path of `name` in the working folder. */
  file(name: string): string;
  start(args: readonly string[], options?: RunOptions): Running;
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>;
}

/** How to run the program. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What to put in front of the program's command line, such as `unshare -Urm`. */
  readonly wrapper?: readonly string[];
}

/** A new user. */
export async function newDesk(): Promise<Desk> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM}: run \`npm run build\` first`);
  const path = await mkdtemp(join(tmpdir(), 'tsbuilder-e2e-'));
  const folder = (name: string): string => join(path, name);
  for (const name of ['home', 'work', 'tmp']) await mkdir(folder(name));
  const env = {
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
    HOME: folder('home'),
    TMPDIR: folder('tmp'),
    XDG_CONFIG_HOME: folder('home/.config'),
    XDG_CACHE_HOME: folder('home/.cache'),
    XDG_DATA_HOME: folder('home/.local/share'),
    XDG_STATE_HOME: folder('home/.local/state'),
    TSBUILDER_DATA_DIR: folder('data'),
    VIRT_BUILDER_DIRS: folder('none'),
    TERM: 'dumb',
    LC_ALL: 'C.UTF-8',
  };
  const start = (args: readonly string[], options: RunOptions = {}): Running =>
    startProgram([...(options.wrapper ?? []), process.execPath, PROGRAM, ...args], {
      cwd: folder('work'),
      env: { ...env, ...options.env },
    });
  return {
    path,
    work: folder('work'),
    cache: folder('home/.cache/tsbuilder'),
    env,
    file: (name) => join(path, 'work', name),
    start,
    run: (args, options) => start(args, options).ended,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

function startProgram(
  command: readonly string[],
  options: { cwd: string; env: Readonly<Record<string, string>> },
): Running {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => stdout.push(data));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) =>
      resolve({ status, signal, stdout: Buffer.concat(stdout), stderr }),
    );
  });
  return { child, ended };
}

/** The result object of a run with `--json` that went well; throws with what the program said if it did not. */
export function resultOf(outcome: Outcome): unknown {
  const text = outcome.stdout.toString();
  if (outcome.status !== 0)
    throw new Error(`status ${outcome.status}:
${text}
${outcome.stderr}`);
  return JSON.parse(text) as unknown;
}

/** How a run with `--json` failed: `STATUS CODE`, and the message and hint. */
export function failureOf(outcome: Outcome): { summary: string; message: string; hint?: string } {
  const text = outcome.stdout.toString();
  if (outcome.status === 0) throw new Error(`no failure:\n${text}`);
  const { error } = JSON.parse(text || '{}') as {
    error?: { code: ErrorCode; message: string; hint?: string; exit: number };
  };
  if (!error) throw new Error(`status ${outcome.status}, no error object:\n${text}\n${outcome.stderr}`);
  if (error.exit !== outcome.status) throw new Error(`exit ${error.exit} announced, got ${outcome.status}`);
  return {
    summary: `${outcome.status} ${error.code}`,
    message: error.message,
    ...(error.hint !== undefined && { hint: error.hint }),
  };
}

/**
 * What a failed run may not leave: names in the working and temporary folders other than `expected`, locks, and content
 * or quarantined files in the cache. Partial downloads may stay, to be resumed.
 */
export async function litter(desk: Desk, expected: readonly string[] = []): Promise<string[]> {
  const found: string[] = [];
  for (const folder of [desk.work, join(desk.path, 'tmp')])
    found.push(...(await names(folder)).filter((name) => !expected.includes(name)));
  for (const folder of ['locks', 'sha512', 'quarantine'])
    found.push(...(await names(join(desk.cache, folder))).map((name) => `${folder}/${name}`));
  return found;
}

/** The names of whole templates in the cache. */
export function cachedContent(desk: Desk): Promise<string[]> {
  return names(join(desk.cache, 'sha512'));
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((): string[] => [])).sort();
}

/** Runs `tasks`, `width` at a time, and returns their results in order. */
export async function inTurns<T>(tasks: readonly (() => Promise<T>)[], width = 2): Promise<T[]> {
  const results: T[] = [];
  const queue = tasks.entries();
  const work = async (): Promise<void> => {
    for (const [index, task] of queue) results[index] = await task();
  };
  await Promise.all(Array.from({ length: width }, work));
  return results;
}
