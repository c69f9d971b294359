import { access, constants, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../../errors.js';
import { readIfPresent } from '../../index-repo/publish-folder.js';
import { asWriter } from '../../index-repo/publish-lock.js';
import { sweepTemporary } from '../../index-repo/publish-strays.js';
import { openFileSource } from '../../io/file-source.js';
import { writeError } from '../../io/free-space.js';
import { startHash } from '../../io/hash-content.js';
import { sweepTempFiles, tempName } from '../../io/temp-name.js';
import { assertFormer } from './former-index.js';
import { assertUnchanged, hashFile } from './hash-file.js';
import type { PublishTarget, PublishedFile, TargetOptions } from './publish-target.js';

const PIECE = 1024 * 1024;

/** The folder `dir` as a target; it is made when something is put there. Files are compared by their content. */
export function folderTarget(dir: string): PublishTarget {
  const readText: PublishTarget['readText'] = (name) => readIfPresent(join(dir, name));
  return {
    name: dir,
    async missing(files, options) {
      const found: PublishedFile[] = [];
      for (const file of files) if (!(await isSame(join(dir, file.name), file, options))) found.push(file);
      return found;
    },
    async send(files, options) {
      for (const file of files) await copyIntoPlace(file, join(dir, file.name), options);
    },
    async list() {
      try {
        return await readdir(dir);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    },
    readText,
    async replace(index, options) {
      await assertFormer({ name: dir, readText }, index.name, options);
      await copyIntoPlace(index, join(dir, index.name), options);
    },
    sweep: () => sweepTemporary(dir),
    async remove(names) {
      for (const name of names) await rm(join(dir, name), { force: true });
    },
    async exclusively(action, turn) {
      await makeFolder(dir);
      await assertWritable(dir);
      return asWriter(dir, turn, action);
    },
  };
}

/**
 * Makes a folder and those above it, one by one: Node's own way goes round for ever where the system lets nobody make any, as in `/proc`.
 *
 * @throws TSB_OUTPUT_UNUSABLE where something else is, or nothing must be written; TSB_NO_SPACE, TSB_IO
 */
async function makeFolder(dir: string): Promise<void> {
  const failure = await mkdir(dir).then(
    () => undefined,
    (error: unknown) => error,
  );
  const code = errnoOf(failure);
  if (failure === undefined || (code === 'EEXIST' && (await stat(dir)).isDirectory())) return;
  if (code === 'ENOENT' && dirname(dir) !== dir) {
    await makeFolder(dirname(dir));
    await mkdir(dir).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw unusable(dir, error);
    });
    return;
  }
  throw unusable(dir, failure);
}

/** Root may write everywhere but where nobody may. */
async function assertWritable(dir: string): Promise<void> {
  await access(dir, constants.W_OK).catch((error: unknown) => {
    throw unusable(dir, error);
  });
}

function unusable(dir: string, error: unknown): unknown {
  const code = errnoOf(error) ?? '';
  const isFile = ['EEXIST', 'ENOTDIR'].includes(code);
  if (!isFile && !['EROFS', 'EACCES', 'EPERM', 'ENOENT'].includes(code)) return writeError(dir, error);
  const why = isFile ? 'is no folder, or is below a file' : `cannot be written: ${messageOf(error)}`;
  return new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${dir}: ${why}`, {
    hint: 'A repository is published into a folder that can be written. Nothing was sent.',
    cause: error,
  });
}

async function isSame(path: string, file: PublishedFile, { signal }: TargetOptions): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  });
  if (!found?.isFile() || found.size !== file.size) return false;
  return (await hashFile(path, { signal })).sha512 === file.sha512;
}

/** Under a temporary name, flushed, and only what was verified gets the name. */
async function copyIntoPlace(file: PublishedFile, to: string, options: TargetOptions): Promise<void> {
  const folder = dirname(to);
  const temp = join(folder, tempName(basename(to)));
  try {
    await mkdir(folder, { recursive: true });
    await sweepTempFiles(to);
    assertUnchanged(file, await copy(file.path, temp, options));
    await rename(temp, to);
    await using handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    throw writeError(to, error);
  } finally {
    await rm(temp, { force: true });
  }
}

/** @returns the SHA-512 of what was copied */
async function copy(from: string, to: string, { onProgress, signal }: TargetOptions): Promise<string> {
  await using source = await openFileSource(from);
  await using handle = await open(to, 'wx', 0o644);
  const hasher = startHash();
  for (let offset = 0; offset < source.size; offset += PIECE) {
    const data = await source.read(offset, Math.min(PIECE, source.size - offset), signal);
    hasher.update(data);
    await handle.writeFile(data);
    onProgress?.(data.length);
  }
  await handle.sync();
  return hasher.digest().sha512;
}
