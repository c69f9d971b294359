import { link, lstat, open, rename, unlink } from 'node:fs/promises';
import { TsbuilderError, errnoOf } from '../errors.js';
import { exchangeNames, renameNoReplace } from './libc.js';
import { backupName } from './temp-name.js';

/**
 * Gives the file `temp` the name `target`, which must be free: never replaces, whoever else tries at the same time.
 *
 * @throws a system error; EEXIST when the name is taken
 */
export async function placeFile(temp: string, target: string): Promise<void> {
  if (renameNoReplace(temp, target)) return;
  try {
    await link(temp, target);
  } catch (error) {
    // Filesystems without hard links (FAT, some network ones) say so in one of these ways.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errnoOf(error) ?? '')) throw error;
    await claimAndRename(temp, target);
    return;
  }
  await unlink(temp);
}

/**
 * Gives the file `temp` the name `target`, in place of a file that may have it. Without a replacing rename, which would
 * make ext4 write the new file out: the two names are exchanged, then the old file is removed.
 *
 * @throws a system error, or TSB_OUTPUT_UNUSABLE when the name is not a file's any more; `target` is then as it was
 */
export async function replaceFile(temp: string, target: string): Promise<void> {
  // Someone else may make or remove `target` between two steps; each round meets a newer state.
  for (let round = 0; round < 16; round += 1) {
    if (await tryPlace(temp, target)) return;
    if (await tryReplace(temp, target)) return;
  }
  throw Object.assign(new Error('others keep making and removing the same file'), { code: 'EBUSY' });
}

async function tryPlace(temp: string, target: string): Promise<boolean> {
  try {
    await placeFile(temp, target);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function tryReplace(temp: string, target: string): Promise<boolean> {
  try {
    if (exchangeNames(temp, target)) await removeExchanged(temp, target);
    else await replaceByBackup(temp, target);
    return true;
  } catch (error) {
    // `target` has gone, or (while it was set aside) has come again.
    if (['ENOENT', 'EEXIST'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** After the exchange the old file is under the temporary name: away with it, or everything back as it was. */
async function removeExchanged(temp: string, target: string): Promise<void> {
  try {
    await assertFile(temp, target);
    await unlink(temp);
  } catch (error) {
    exchangeNames(temp, target);
    throw error;
  }
}

/** The way without renameat2: for a moment the name is missing, but the old file is never without one. */
async function replaceByBackup(temp: string, target: string): Promise<void> {
  await assertFile(target, target);
  const backup = backupName(temp);
  await rename(target, backup);
  try {
    await placeFile(temp, target);
  } catch (error) {
    await placeFile(backup, target);
    throw error;
  }
  await unlink(backup);
}

async function assertFile(path: string, target: string): Promise<void> {
  if ((await lstat(path)).isFile()) return;
  throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${target}: is not a file any more`, {
    hint: 'Something else took the name meanwhile.',
  });
}

/** Without links or renameat2: an empty file claims the name, then the rename replaces that. */
async function claimAndRename(temp: string, target: string): Promise<void> {
  await (await open(target, 'wx')).close();
  try {
    await rename(temp, target);
  } catch (error) {
    await unlink(target);
    throw error;
  }
}
