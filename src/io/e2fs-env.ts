import { symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { noFlushEnv } from './quiet-flush.js';
import { openScratchFolder } from './scratch-folder.js';

/** How programs of e2fsprogs are to run. */
export interface E2fsOptions {
  /**
   * Seconds since 1970 that the programs take for the present, so that the times they write (in inodes, superblock,
   * check stamps) are the same in every run. Default: the real time.
   */
  readonly fakeTime?: number | undefined;
  /** Let the programs flush what they wrote to the disk. Default: no, see {@link noFlushEnv}. */
  readonly sync?: boolean | undefined;
}

/**
 * Environment for debugfs, e2fsck, e2undo and resize2fs: the clock (`E2FSPROGS_FAKE_TIME` for libext2fs,
 * `E2FSCK_TIME` for e2fsck's own stamps), no flushing, and a PATH with the folders of system programs, which ordinary users' PATH lacks on
 * Debian.
 */
export function e2fsEnv(options: E2fsOptions = {}): Record<string, string> {
  const { fakeTime, sync } = options;
  const time = fakeTime === undefined ? {} : timeEnv(fakeTime);
  const path = `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`;
  return { ...(sync ? {} : noFlushEnv()), ...time, PATH: path };
}

function timeEnv(seconds: number): Record<string, string> {
  return { E2FSPROGS_FAKE_TIME: String(seconds), E2FSCK_TIME: String(seconds) };
}

/** A folder to run e2fsprogs in, and the name that its programs know the filesystem by. */
export interface E2fsScratch extends AsyncDisposable {
  /** Private empty folder, to be the programs' working folder. */
  readonly folder: string;
  /** Device argument relative to `folder`: `disk?offset=N`. */
  readonly device: string;
}

/**
 * Makes a private folder in which `disk` is a link to `diskPath`: e2fsprogs splits a device's name at the first `?`, so
 * a path that has one itself could not be given directly.
 *
 * @param offset where the filesystem begins in the disk, in bytes
 */
export async function openE2fsScratch(diskPath: string, offset: number): Promise<E2fsScratch> {
  const scratch = await openScratchFolder('e2fs');
  const remove = async (): Promise<void> => scratch[Symbol.asyncDispose]();
  try {
    await symlink(resolve(diskPath), join(scratch.path, 'disk'));
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder: scratch.path, device: `disk?offset=${offset}`, [Symbol.asyncDispose]: remove };
}
