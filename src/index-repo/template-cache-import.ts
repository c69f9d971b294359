import { copyFile, constants, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { openFileSource } from '../io/file-source.js';
import { assertFreeSpace, writeError } from '../io/free-space.js';
import { type ContentHash, hashSource, startHash } from '../io/hash-content.js';
import { withLock } from '../io/lock-file.js';
import { checkContent } from './template-cache-check.js';
import type { DetachedCheck } from './template-cache-handle.js';
import { addRecord, recordOf } from './template-cache-records.js';
import { type CachePaths, commitContent, makeCacheFolders, partialKey } from './template-cache-store.js';
import type { TemplateEntry } from './template-entry.js';

/**
 * Copies a template that came some other way into the cache, after checking that it is what the index says of `entry`.
 *
 * @returns its path in the cache
 * @throws TSB_CHECKSUM_MISMATCH, TSB_SIZE_MISMATCH, TSB_SIGNATURE_*, TSB_NOT_FOUND, TSB_NO_SPACE, TSB_IO
 */
export async function importFile(
  paths: CachePaths,
  file: { path: string; entry: TemplateEntry; verifyDetached?: DetachedCheck | undefined },
  signal?: AbortSignal,
): Promise<string> {
  const { path, entry } = file;
  await makeCacheFolders(paths).catch((error: unknown) => {
    throw new TsbuilderError('TSB_IO', `${paths.dir}: the cache cannot be written: ${messageOf(error)}`, {
      cause: error,
    });
  });
  const copy = join(paths.partial, `${partialKey(entry)}.import`);
  return withLock(join(paths.locks, `${partialKey(entry)}.lock`), { signal }, async () => {
    try {
      const content = await copyAndHash(path, copy, { entry, signal });
      checkContent(entry, content, 'local');
      await file.verifyDetached?.(copy, signal);
      const target = await commitContent(paths, copy, content);
      await addRecord(paths, recordOf(entry, content));
      return target;
    } catch (error) {
      throw writeError(paths.dir, error);
    } finally {
      await rm(copy, { force: true });
    }
  });
}

async function copyAndHash(
  from: string,
  to: string,
  options: { entry: TemplateEntry; signal?: AbortSignal | undefined },
): Promise<ContentHash> {
  await using original = await openFileSource(from);
  await assertFreeSpace(join(to, '..'), original.size);
  // The copy is hashed, not the original: that is what will be used.
  await copyFile(from, to, constants.COPYFILE_FICLONE).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT')
      throw new TsbuilderError('TSB_NOT_FOUND', `${from}: no such file`, { cause: error });
    throw error;
  });
  await using copy = await openFileSource(to);
  const hasher = startHash({ sha256: options.entry.sha256 !== undefined });
  await hashSource(copy, hasher, options.signal);
  return hasher.digest();
}
