import { copyFile, constants, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { openError, openFileSource } from '../io/file-source.js';
import { assertFreeSpace, writeError } from '../io/free-space.js';
import { type ContentHash, hashSource, startHash } from '../io/hash-content.js';
import { withLock } from '../io/lock-file.js';
import { checkContent } from './template-cache-check.js';
import type { DetachedCheck } from './template-cache-handle.js';
import { addRecord, recordOf } from './template-cache-records.js';
import { detachedCheckOf } from './template-cache-signature.js';
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
      checkContent(entry, content, { origin: 'local', path });
      await (file.verifyDetached ?? detachedCheckOf(entry))?.(copy, signal);
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

/**
 * The entry whose published checksum is that of the file at `path`.
 *
 * @throws TSB_NOT_FOUND when no entry has it, or there is no such file; TSB_IO
 */
export async function findEntryOfFile(
  path: string,
  entries: readonly TemplateEntry[],
  signal?: AbortSignal,
): Promise<TemplateEntry> {
  await using source = await openFileSource(path);
  const hasher = startHash({ sha256: true });
  await hashSource(source, hasher, signal);
  const { sha512, sha256 } = hasher.digest();
  const found = entries.find((entry) =>
    entry.sha512 === undefined ? entry.sha256 === sha256 : entry.sha512 === sha512,
  );
  if (found) return found;
  throw new TsbuilderError(
    'TSB_NOT_FOUND',
    `${path}: no index has a template with its checksum, SHA-512 ${sha512}`,
    {
      hint: 'Give the name of the template it is meant to be, to see what differs.',
      details: { path, sha512 },
    },
  );
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
    throw errnoOf(error) === 'ENOENT' ? openError(from, error) : error;
  });
  await using copy = await openFileSource(to);
  const hasher = startHash({ sha256: options.entry.sha256 !== undefined });
  await hashSource(copy, hasher, options.signal);
  return hasher.digest();
}
