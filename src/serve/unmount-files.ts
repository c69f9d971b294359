import { rmdir, stat, unlink } from 'node:fs/promises';
import { TsbuilderError, messageOf } from '../errors.js';
import { exec } from '../io/exec.js';
import { readMounts } from '../io/mounts.js';
import { type MountRecord, type MountState, readRecord, removeState, withMountLock } from './mount-record.js';

/** `polite`: a file in use stays mounted. `lazy`: it goes from the folder at once, and for good when it is closed. */
export type UnmountManner = 'polite' | 'lazy';

/** Those of `paths` on which a FUSE filesystem is mounted, the last one first. */
export async function mountedAmong(paths: readonly string[]): Promise<string[]> {
  const mounts = (await readMounts()).filter(({ type }) => type === 'fuse' || type.startsWith('fuse.'));
  const points = new Set(mounts.map(({ mountPoint }) => mountPoint));
  return paths.filter((path) => points.has(path)).reverse();
}

/**
 * Unmounts one file, which only its owner can.
 *
 * @throws TSB_LOCKED when it is in use and `manner` is polite, TSB_TOOL_MISSING without fusermount3, TSB_IO
 */
export async function unmountFile(path: string, manner: UnmountManner): Promise<void> {
  const args = manner === 'lazy' ? ['-u', '-z', '--', path] : ['-u', '--', path];
  const { status, stderr } = await exec('fusermount3', args, {
    okStatus: [0, 1],
    debianPackage: 'fuse3',
  });
  if (status === 0 || (await mountedAmong([path])).length === 0) return;
  if (/busy/i.test(stderr)) {
    throw new TsbuilderError('TSB_LOCKED', `${path}: is in use`, {
      hint: `Close what uses it (fuser -vm '${path}' tells), or take it away with --force.`,
      details: { path },
    });
  }
  throw new TsbuilderError('TSB_IO', `${path}: cannot be unmounted: ${stderr.trim()}`);
}

/**
 * Takes a whole mount of `server` down: unmounts its files, whoever uses them, removes the empty files and the folder that were made for
 * it, and its state. Does what there is left to do, so it may be called again, or by the server, its guard and others at once: when the
 * folder is by now another server's, nothing is done.
 *
 * @throws the first failure, when all else has been tried
 */
export async function takeDown(state: MountState, server: string): Promise<void> {
  // Most of the time somebody else has done it already: no need for a lock, whose folder may be gone too.
  if ((await readRecord(state))?.server !== server) return;
  await withMountLock(state, () => takeDownLocked(state, server));
}

/** The same for who holds the lock of the mount. */
export async function takeDownLocked(state: MountState, server: string): Promise<void> {
  const record = await readRecord(state);
  if (record?.server !== server) return;
  await takeDownFiles(record);
  await removeState(state);
}

async function takeDownFiles(record: MountRecord): Promise<void> {
  const failures: unknown[] = [];
  for (const path of await mountedAmong(record.files)) {
    await unmountFile(path, 'polite')
      .catch(() => unmountFile(path, 'lazy'))
      .catch((error: unknown) => failures.push(error));
  }
  for (const path of record.files) await removeStub(path);
  if (record.madeDir) await rmdir(record.dir).catch(() => undefined);
  if (failures.length > 0) throw failures[0];
}

/** Only an empty file is one that was made to be mounted upon. */
async function removeStub(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() && found.size === 0) {
    await unlink(path).catch((error: unknown) => {
      throw new TsbuilderError('TSB_IO', `${path}: cannot be removed: ${messageOf(error)}`, { cause: error });
    });
  }
}
