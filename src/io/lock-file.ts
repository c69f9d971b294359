import { randomBytes } from 'node:crypto';
import { lstat, lutimes, readlink, symlink, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { formatIdentity, ownIdentity, parseIdentity, processState } from './process-identity.js';

/**
 * How a lock works. It is a symbolic link whose target names its holder: the one thing that POSIX creates exclusively
 * and with its content at once, so no reader ever sees a lock half made. A holder that has died is known at once in
 * the same process table; elsewhere (another machine or container) a lock counts as abandoned when nobody has touched
 * it for a minute.
 */
export interface LockOptions {
  /** Called once, if the lock is held, with words about its holder: for a message. */
  readonly onWait?: ((holder: string) => void) | undefined;
  /** How often a holder touches its lock, in milliseconds. Default 5 s. */
  readonly heartbeatMs?: number | undefined;
  /** How long a lock from another process table may go untouched, in milliseconds. Default 60 s. */
  readonly staleMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A lock that is held. Disposing it lets it go. */
export interface Lock extends AsyncDisposable {
  readonly path: string;
  /** Aborted when another process has taken the lock, after this one was stopped for longer than `staleMs`. */
  readonly lost: AbortSignal;
}

interface Holder {
  /** Unique for every time a lock is taken. */
  readonly token: string;
  /** The whole target of the link. */
  readonly text: string;
  /** Last touched, in milliseconds since the epoch. */
  readonly touched: number;
}

const HEARTBEAT_MS = 5000;
const STALE_MS = 60_000;
const LONGEST_POLL_MS = 500;

/** Runs `action` while holding the lock `path`. @throws as `acquireLock` and `action` */
export async function withLock<T>(path: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  const lock = await acquireLock(path, options);
  try {
    return await action();
  } finally {
    await lock[Symbol.asyncDispose]();
  }
}

/**
 * Takes the lock `path`, waiting for as long as another live process holds it.
 *
 * @throws TSB_LOCKED when the lock cannot be made in its folder (its cause has the reason), or the abort reason
 */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<Lock> {
  let told = false;
  for (let pollMs = 10; ; pollMs = Math.min(LONGEST_POLL_MS, pollMs * 1.5)) {
    options.signal?.throwIfAborted();
    const lock = await tryLock(path, options);
    if (lock) return lock;
    if (!told) options.onWait?.(describeHolder(await readHolder(path)));
    told = true;
    await sleep(pollMs * (0.5 + Math.random()), undefined, options).catch(() => undefined);
  }
}

/** Takes the lock `path` if nobody alive holds it; otherwise undefined, at once. @throws TSB_LOCKED as `acquireLock` */
export async function tryLock(path: string, options: LockOptions = {}): Promise<Lock | undefined> {
  const token = randomBytes(8).toString('hex');
  if (await create(path, token)) return holdLock(path, token, options);
  const holder = await readHolder(path);
  if (holder && !isAbandoned(holder, options)) return undefined;
  if (holder) await removeAbandoned(path, holder, options);
  return (await create(path, token)) ? holdLock(path, token, options) : undefined;
}

/** @returns whether the lock is ours now; false when it exists already */
async function create(path: string, token: string): Promise<boolean> {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '')
    .slice(0, 64);
  try {
    await symlink(`${token}:${formatIdentity(ownIdentity())}:${host}`, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw lockError(path, error);
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const [text, stat] = [await readlink(path), await lstat(path)];
    return { token: text.split(':')[0] ?? '', text, touched: stat.mtimeMs };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw lockError(path, error);
  }
}

function isAbandoned(holder: Holder, options: LockOptions): boolean {
  const identity = parseIdentity(holder.text.split(':')[1] ?? '');
  const state = identity ? processState(identity) : 'unknown';
  if (state !== 'unknown') return state === 'dead';
  return Date.now() - holder.touched > (options.staleMs ?? STALE_MS);
}

/**
 * Removes the lock `path` that `holder` left, and never one that somebody has taken since. Only who holds the guard, a
 * lock named after that holder's token, may remove it; under the guard the link is read again. As tokens are never
 * used twice and a lock cannot be replaced while it exists, nothing can come between that look and the removal. A
 * guard whose holder died is itself an abandoned lock.
 */
async function removeAbandoned(path: string, holder: Holder, options: LockOptions): Promise<void> {
  if (!/^[0-9a-f]{16}$/.test(holder.token))
    throw lockError(path, new Error('it exists and is not a lock of ours: remove it'));
  await using guard = await tryLock(`${path}.${holder.token}`, options);
  if (!guard) return;
  const now = await readHolder(path);
  if (now?.token === holder.token && isAbandoned(now, options)) await remove(path);
}

function holdLock(path: string, token: string, options: LockOptions): Lock {
  const lost = new AbortController();
  const beat = async (): Promise<void> => {
    if (await isOurs(path, token)) await lutimes(path, new Date(), new Date()).catch(() => undefined);
    else lost.abort(new TsbuilderError('TSB_LOCKED', `${path}: another process has taken this lock`));
  };
  const timer = setInterval(() => void beat(), options.heartbeatMs ?? HEARTBEAT_MS);
  timer.unref();
  let held = true;
  return {
    path,
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      if (!held) return;
      held = false;
      clearInterval(timer);
      if (await isOurs(path, token)) await remove(path);
    },
  };
}

async function isOurs(path: string, token: string): Promise<boolean> {
  const holder = await readHolder(path).catch(() => undefined);
  return holder?.token === token;
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw lockError(path, error);
  });
}

function describeHolder(holder: Holder | undefined): string {
  const [, identity = '', host = ''] = holder?.text.split(':') ?? [];
  const pid = parseIdentity(identity)?.pid;
  return pid === undefined ? 'another process' : `process ${pid} on ${host}`;
}

function lockError(path: string, error: unknown): TsbuilderError {
  return new TsbuilderError('TSB_LOCKED', `${path}: cannot be locked: ${messageOf(error)}`, {
    details: { path, errno: errnoOf(error) },
    cause: error,
  });
}
