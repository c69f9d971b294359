import { link, lstat, rename, unlink } from 'node:fs/promises';
import { errnoOf } from '../errors.js';
import { writeError } from '../io/free-space.js';
import { placeFile } from '../io/place-file.js';

const MOST = 1000;

/** A file's second name, for when its first is taken from it. */
export interface Backup {
  readonly path: string;
  /** Takes the second name away again. */
  undo(): Promise<void>;
}

/**
 * Gives the file `path` another name beside it, `PATH.bak` or the first of `PATH.bak.1`, `PATH.bak.2` ... that is free, so that it is
 * kept when another file takes its place. Where a file cannot have two names it has only the new one meanwhile.
 *
 * @throws TSB_OUTPUT_UNUSABLE or TSB_IO when it cannot
 */
export async function keepBackup(path: string): Promise<Backup> {
  for (const name of names(path)) {
    try {
      return await nameTwice(path, name);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw writeError(name, error);
    }
  }
  throw writeError(path, Object.assign(new Error(`there are ${MOST} backups of it`), { code: 'EEXIST' }));
}

/** The name that `keepBackup` would take now. */
export async function backupName(path: string): Promise<string | undefined> {
  for (const name of names(path)) {
    const taken = await lstat(name).then(
      () => true,
      () => false,
    );
    if (!taken) return name;
  }
  return undefined;
}

function names(path: string): string[] {
  return Array.from({ length: MOST }, (_, count) => `${path}.bak${count === 0 ? '' : `.${count}`}`);
}

async function nameTwice(path: string, name: string): Promise<Backup> {
  try {
    await link(path, name);
    return { path: name, undo: () => unlink(name) };
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errnoOf(error) ?? '')) throw error;
    await placeFile(path, name);
    return { path: name, undo: () => rename(name, path) };
  }
}
