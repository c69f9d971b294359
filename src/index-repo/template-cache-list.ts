import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../errors.js';
import { openFileSource } from '../io/file-source.js';
import { hashSource, startHash } from '../io/hash-content.js';
import { type CacheRecord, changeRecords, readRecords } from './template-cache-records.js';
import { type CachePaths, contentPath, isSha512, quarantineContent } from './template-cache-store.js';

/** One file in the cache, and the entry it was fetched for as far as that is known. */
export interface CachedTemplate {
  readonly name: string | undefined;
  readonly arch: string | undefined;
  readonly revision: string | undefined;
  /** URI of the source, redacted. */
  readonly source: string | undefined;
  readonly url: string | undefined;
  readonly sha512: string;
  /** Bytes on disk. */
  readonly size: number;
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
}

/** What `verify` found out about one file. */
export interface CacheVerdict extends CachedTemplate {
  readonly ok: boolean;
  /** Where a damaged file was moved to. */
  readonly quarantined?: string | undefined;
}

/** Everything in the cache, most recently used first. A cache that does not exist is empty. @throws a system error */
export async function listCache(paths: CachePaths): Promise<CachedTemplate[]> {
  const records = new Map((await readRecords(paths)).map((record) => [record.sha512, record]));
  const names = (await listFolder(paths.content)).filter(isSha512);
  const all = await Promise.all(names.map((sha512) => describe(paths, sha512, records.get(sha512))));
  return all.filter((item) => item !== undefined).sort((a, b) => b.usedAt - a.usedAt);
}

async function describe(
  paths: CachePaths,
  sha512: string,
  record: CacheRecord | undefined,
): Promise<CachedTemplate | undefined> {
  const path = contentPath(paths, sha512);
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  const { name, arch, revision, source, url } = record ?? {};
  return { name, arch, revision, source, url, sha512, size: found.size, path, usedAt: found.mtimeMs };
}

/**
 * Hashes every file of the cache again and sets damaged ones aside. `onDone` is told of each file that was read.
 *
 * @throws TSB_IO when a file cannot be read, or the abort reason
 */
export async function verifyCache(
  paths: CachePaths,
  options: { onDone?: ((item: CachedTemplate) => void) | undefined; signal?: AbortSignal | undefined } = {},
): Promise<CacheVerdict[]> {
  const verdicts: CacheVerdict[] = [];
  for (const item of await listCache(paths)) {
    const ok = (await hashOf(item.path, options.signal)) === item.sha512;
    const quarantined = ok ? undefined : await quarantineContent(paths, item.sha512);
    verdicts.push({ ...item, ok, quarantined });
    options.onDone?.(item);
  }
  const bad = new Set(verdicts.filter(({ ok }) => !ok).map(({ sha512 }) => sha512));
  await forgetContent(paths, bad, options.signal);
  return verdicts;
}

/** Drops the records of the files named by `gone`. @throws as `changeRecords` */
export async function forgetContent(
  paths: CachePaths,
  gone: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<void> {
  if (gone.size === 0) return;
  await changeRecords(paths, (records) => records.filter(({ sha512 }) => !gone.has(sha512)), signal);
}

/** The paths in a folder of the cache; none when there is no such folder. @throws a system error */
export async function listFolder(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  });
}

/** The SHA-512 of the file at `path`. @throws TSB_IO, TSB_NOT_FOUND */
async function hashOf(path: string, signal?: AbortSignal): Promise<string> {
  await using source = await openFileSource(path);
  const hasher = startHash();
  await hashSource(source, hasher, signal);
  return hasher.digest().sha512;
}

/** Length in bytes and time of the last change of every file in `dir`. */
export async function statFolder(dir: string): Promise<{ path: string; size: number; changedAt: number }[]> {
  const names = await listFolder(dir);
  const all = await Promise.all(
    names.map(async (name) => {
      const path = join(dir, name);
      const found = await stat(path).catch(() => undefined);
      return found?.isFile() === true ? { path, size: found.size, changedAt: found.mtimeMs } : undefined;
    }),
  );
  return all.filter((item) => item !== undefined);
}
