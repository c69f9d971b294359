import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../errors.js';
import { writeError } from '../io/free-space.js';
import { tempName } from '../io/temp-name.js';

/**
 * Writes a whole file so that a crash at any moment leaves the old content or the new: temporary name, fsync, rename,
 * fsync of the folder.
 *
 * @throws TSB_NO_SPACE, TSB_OUTPUT_UNUSABLE or TSB_IO with the temporary file removed
 */
export async function writeDurably(path: string, data: string, mode: number): Promise<void> {
  const temp = join(dirname(path), tempName(basename(path)));
  await orWriteError(path, async () => {
    try {
      await writeAll(temp, data, mode);
      await rename(temp, path);
    } finally {
      await rm(temp, { force: true });
    }
    await syncFolder(dirname(path));
  });
}

async function writeAll(path: string, data: string, mode: number): Promise<void> {
  await using handle = await open(path, 'wx', mode);
  await handle.writeFile(data);
  await handle.sync();
}

async function orWriteError(path: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    throw writeError(path, error);
  }
}

/**
 * Moves a file into place durably, over an existing one if there is one; copies where `from` is on another filesystem.
 *
 * @throws TSB_NO_SPACE, TSB_OUTPUT_UNUSABLE or TSB_IO, with no partial file under the new name
 */
export async function moveDurably(from: string, to: string): Promise<void> {
  await orWriteError(to, async () => {
    try {
      await syncFile(from);
      await rename(from, to);
    } catch (error) {
      if (errnoOf(error) !== 'EXDEV') throw error;
      await copyDurably(from, to);
      await rm(from);
    }
    await syncFolder(dirname(to));
  });
}

/** Creates a folder and its parents; an existing one keeps its mode. */
export async function ensureFolder(path: string, mode: number): Promise<void> {
  await mkdir(path, { recursive: true, mode });
}

async function copyDurably(from: string, to: string): Promise<void> {
  const temp = join(dirname(to), tempName(basename(to)));
  try {
    await copyFile(from, temp);
    await syncFile(temp);
    await rename(temp, to);
  } finally {
    await rm(temp, { force: true });
  }
}

async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}
