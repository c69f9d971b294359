import { createHash } from 'node:crypto';
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { stateFolder } from '../index-repo/user-folders.js';
import { withLock } from '../io/lock-file.js';
import { formatIdentity, ownIdentity, parseIdentity, processState } from '../io/process-identity.js';

/** What is written down about a mount, so that others than its server can take it down. */
export interface MountRecord {
  /** Without links. */
  readonly dir: string;
  /** Whether `dir` was made for the mount. */
  readonly madeDir: boolean;
  /** The identity of the process that serves it. */
  readonly server: string;
  readonly src: string;
  /** Paths of the files that are mounted, or will be. */
  readonly files: readonly string[];
}

/** Where the record of the mount on a folder is, and the server's log. */
export interface MountState {
  readonly folder: string;
}

const RECORD = 'mount.json';

/** The state of the mount on `dir`, a path without links: below `$XDG_RUNTIME_DIR`, else in the folder for state. */
export function mountState(
  dir: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): MountState {
  const runtime = env['XDG_RUNTIME_DIR'];
  const base = runtime !== undefined && isAbsolute(runtime) ? join(runtime, 'tsbuilder') : stateFolder(env);
  return { folder: join(base, 'mounts', createHash('sha256').update(dir).digest('hex').slice(0, 24)) };
}

/** Path of the log of a mount's server. */
export function logPath(state: MountState): string {
  return join(state.folder, 'log');
}

/** Where the state of a mount on `dir` will be, which need not be there yet. */
export async function plannedState(dir: string): Promise<MountState> {
  const parent = await realpath(dirname(dir)).catch(() => resolve(dirname(dir)));
  return mountState(await realpath(dir).catch(() => join(parent, basename(dir))));
}

/**
 * Runs `action` while nobody else takes the folder of `state`, or takes down what was mounted there.
 *
 * @throws TSB_OUTPUT_UNUSABLE when the state cannot be kept, the abort reason, and what `action` throws
 */
export async function withMountLock<T>(
  state: MountState,
  action: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  await mkdir(dirname(state.folder), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw unusable(state, error);
  });
  return withLock(`${state.folder}.lock`, { signal }, action);
}

/** The identity under which this process serves its mounts. */
export function ownServer(): string {
  return formatIdentity(ownIdentity());
}

/**
 * Takes the folder for this process, which holds its lock.
 *
 * @throws TSB_LOCKED when something is mounted there already, TSB_OUTPUT_UNUSABLE when the state cannot be kept
 */
export async function claimMount(record: Omit<MountRecord, 'server' | 'files'>): Promise<MountState> {
  const state = mountState(record.dir);
  const made = { folder: `${state.folder}.${ownServer()}` };
  try {
    await mkdir(made.folder, { recursive: true, mode: 0o700 });
    await writeRecord(made, { ...record, files: [] });
    // Fails when there is a folder of that name with something in it.
    await rename(made.folder, state.folder);
    return state;
  } catch (error) {
    await removeState(made);
    if (['EEXIST', 'ENOTEMPTY'].includes(errnoOf(error) ?? ''))
      throw taken(record.dir, await readRecord(state));
    throw unusable(state, error);
  }
}

function unusable(state: MountState, error: unknown): TsbuilderError {
  return new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${state.folder}: cannot be made: ${messageOf(error)}`, {
    cause: error,
  });
}

/** Writes down what is mounted, with this process as its server. */
export async function writeRecord(state: MountState, record: Omit<MountRecord, 'server'>): Promise<void> {
  const temporary = join(state.folder, `${RECORD}.new`);
  await writeFile(temporary, JSON.stringify({ ...record, server: ownServer() }), { mode: 0o600 });
  await rename(temporary, join(state.folder, RECORD));
}

/** The record, or undefined when there is none or it cannot be read. */
export async function readRecord(state: MountState): Promise<MountRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(state.folder, RECORD), 'utf8')) as MountRecord;
  } catch {
    return undefined;
  }
}

/** Forgets the mount. */
export async function removeState(state: MountState): Promise<void> {
  await rm(state.folder, { recursive: true, force: true });
}

/** Whether the server of a mount still runs. One of another boot or container cannot be asked: it does not, seen from here. */
export function serverRuns(record: MountRecord): boolean {
  const identity = parseIdentity(record.server);
  return identity !== undefined && processState(identity) === 'alive';
}

/** The process number of a mount's server. */
export function serverPid(record: MountRecord): number | undefined {
  return parseIdentity(record.server)?.pid;
}

/** `dir` without links. @throws TSB_NOT_FOUND when it is missing */
export async function resolveFolder(dir: string): Promise<string> {
  try {
    return await realpath(dir);
  } catch (error) {
    const why = errnoOf(error) === 'ENOENT' ? 'there is no such folder' : messageOf(error);
    throw new TsbuilderError('TSB_NOT_FOUND', `${dir}: ${why}`, { cause: error });
  }
}

function taken(dir: string, record: MountRecord | undefined): TsbuilderError {
  const pid = record && serverPid(record);
  const by = pid === undefined ? '' : ` by process ${pid}`;
  return new TsbuilderError(
    'TSB_LOCKED',
    `${dir}: ${record?.src ?? 'an image'} is mounted there already${by}`,
    {
      hint: `Unmount it first: tsbuilder umount '${dir}'`,
      details: { dir, ...(pid !== undefined && { pid }) },
    },
  );
}
