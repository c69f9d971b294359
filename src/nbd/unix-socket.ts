import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { lstat, mkdir, readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { withLock } from '../io/lock-file.js';
import { formatIdentity, ownIdentity, parseIdentity, processState } from '../io/process-identity.js';

/** `sun_path` of unix(7) has 108 bytes, the last of them zero. */
const MAX_PATH_BYTES = 107;
const FOLDER_PREFIX = 'tsbuilder-nbd-';
const SOCKET_NAME = 'nbd.sock';

/** A folder of mode 0700 for one socket; disposing it removes both, as does the end of this process. */
export interface PrivateSocket extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes a private place for a socket in the system's temporary folder. Those that dead processes of this user have left behind are
 * removed.
 *
 * @throws TSB_LISTEN when it cannot be made
 */
export async function openPrivateSocket(): Promise<PrivateSocket> {
  const name = `${FOLDER_PREFIX}${formatIdentity(ownIdentity())}-${randomBytes(4).toString('hex')}`;
  const long = Buffer.byteLength(join(tmpdir(), name, SOCKET_NAME)) > MAX_PATH_BYTES;
  const parent = long ? '/tmp' : tmpdir();
  await sweep(parent);
  const folder = join(parent, name);
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    throw listenError(folder, 'the folder of the socket cannot be made', error);
  });
  // For a process that ends at once, as on a second signal.
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    path: join(folder, SOCKET_NAME),
    [Symbol.asyncDispose]() {
      process.off('exit', remove);
      remove();
      return Promise.resolve();
    },
  };
}

/**
 * Runs `bind`, which makes the socket `path`, once the name is free: a socket to which nobody listens any more is removed, another
 * server's and anything that is no socket stays. Two that want one name take turns.
 *
 * @throws TSB_LISTEN when the path is too long, taken, or its folder is missing; what `bind` throws
 */
export async function bindSocketPath(path: string, bind: () => Promise<void>): Promise<void> {
  const target = resolve(path);
  const bytes = Buffer.byteLength(target);
  if (bytes > MAX_PATH_BYTES) {
    throw new TsbuilderError(
      'TSB_LISTEN',
      `${path}: the absolute path of the socket has ${bytes} bytes; the system allows ${MAX_PATH_BYTES}`,
      { hint: 'Choose a shorter path.', details: { path, bytes } },
    );
  }
  await stat(dirname(target)).catch((error: unknown) => {
    throw listenError(path, 'the folder of the socket cannot be used', error);
  });
  await withLock(`${target}.lock`, {}, async () => {
    await freeName(target);
    await bind();
  });
}

async function freeName(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw listenError(path, 'cannot be looked at', error);
  });
  if (!found) return;
  if (!found.isSocket()) {
    throw new TsbuilderError('TSB_LISTEN', `${path}: exists and is not a socket`, {
      hint: 'Choose another path; only the socket of a server that has gone is replaced.',
    });
  }
  const answer = await knock(path);
  if (answer === 'ENOENT') return;
  if (answer !== 'ECONNREFUSED') {
    throw new TsbuilderError('TSB_LISTEN', `${path}: another server is listening on this socket`, {
      hint: 'Choose another path, or end that server.',
    });
  }
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw listenError(path, 'the stale socket cannot be removed', error);
  });
}

/** How a connection attempt ends: undefined when there is somebody. */
function knock(path: string): Promise<string | undefined> {
  return new Promise((done) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      done(undefined);
    });
    socket.once('error', (error) => done(errnoOf(error)));
  });
}

/** Only what this user owns is touched: nobody else can have put it there, or can swap it meanwhile. */
async function sweep(parent: string): Promise<void> {
  const names = await readdir(parent).catch((): string[] => []);
  for (const name of names.filter((entry) => entry.startsWith(FOLDER_PREFIX))) {
    const owner = parseIdentity(name.slice(FOLDER_PREFIX.length).replace(/-[0-9a-f]{8}$/, ''));
    if (!owner || processState(owner) !== 'dead') continue;
    const folder = join(parent, name);
    const found = await lstat(folder).catch(() => undefined);
    if (!found?.isDirectory() || found.uid !== process.getuid?.()) continue;
    await unlink(join(folder, SOCKET_NAME)).catch(() => undefined);
    await rmdir(folder).catch(() => undefined);
  }
}

function listenError(path: string, what: string, error: unknown): TsbuilderError {
  return new TsbuilderError('TSB_LISTEN', `${path}: ${what}: ${messageOf(error)}`, {
    details: { path, errno: errnoOf(error) },
    cause: error,
  });
}
