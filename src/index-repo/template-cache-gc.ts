import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { removePartial } from '../io/download-state.js';
import { tryLock } from '../io/lock-file.js';
import {
  type CachedTemplate,
  forgetContent,
  listCache,
  listFolder,
  statFolder,
} from './template-cache-list.js';
import { readRecords } from './template-cache-records.js';
import { type CachePaths, entryId, isSha512 } from './template-cache-store.js';
import type { TemplateEntry } from './template-entry.js';

/** What to remove. Each rule works by itself; a file goes when any of them wants it gone. */
export interface GcOptions {
  /** Files not used for longer than this, in milliseconds. */
  readonly maxAgeMs?: number | undefined;
  /** Files that do not fit into this many bytes when those used last are kept first. */
  readonly maxBytes?: number | undefined;
  /** Files that none of these entries needs. */
  readonly referenced?: readonly TemplateEntry[] | undefined;
  /** Every partial download that nobody is working on. Default: only those untouched for a week, or for `maxAgeMs`. */
  readonly partials?: boolean | undefined;
  /** Only say what would be removed. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Why a file was removed. */
export type GcReason = 'age' | 'size' | 'unreferenced' | 'partial' | 'quarantine' | 'cleared';

/** One file that was removed. */
export interface GcRemoval {
  readonly path: string;
  readonly name: string | undefined;
  readonly size: number;
  readonly reason: GcReason;
}

const PARTIAL_AGE_MS = 7 * 86_400_000;

/**
 * Removes what is not wanted. A build that is reading a file keeps it until it is done, since a file that is open lives
 * on without a name; a partial file that is being downloaded is left alone. Quarantined files always go.
 *
 * @returns what was removed
 * @throws TSB_LOCKED or a system error when the cache cannot be written
 */
export async function collectGarbage(paths: CachePaths, options: GcOptions = {}): Promise<GcRemoval[]> {
  const { dryRun, signal } = options;
  const content = chooseContent(await listCache(paths), options, await neededBy(paths, options.referenced));
  const removals = [...content, ...(await quarantined(paths)), ...(await partials(paths, options))];
  if (dryRun === true) return removals;
  for (const { path, reason } of removals) {
    signal?.throwIfAborted();
    if (reason !== 'partial') await rm(path, { force: true });
  }
  await forgetContent(paths, new Set(content.map(({ path }) => basename(path))), signal);
  return removals;
}

/** Removes everything that this cache holds, and nothing else that may be in its folder. @throws as `collectGarbage` */
export async function clearCache(paths: CachePaths, signal?: AbortSignal): Promise<GcRemoval[]> {
  const removals = await collectGarbage(paths, { maxAgeMs: -Infinity, partials: true, signal });
  return removals.map((removal) => (removal.reason === 'age' ? { ...removal, reason: 'cleared' } : removal));
}

/**
 * Which of `items` (most recently used first) the rules of `options` want gone: a pure function.
 *
 * `needed` are the SHA-512 sums that entries refer to, or undefined when that is not asked.
 */
export function chooseContent(
  items: readonly CachedTemplate[],
  options: GcOptions,
  needed: ReadonlySet<string> | undefined,
): GcRemoval[] {
  const now = Date.now();
  let kept = 0;
  return items.flatMap((item) => {
    const reason = reasonFor(item);
    if (reason === undefined) kept += item.size;
    return reason === undefined ? [] : [{ path: item.path, name: item.name, size: item.size, reason }];
  });

  function reasonFor(item: CachedTemplate): GcReason | undefined {
    if (needed && !needed.has(item.sha512)) return 'unreferenced';
    if (now - item.usedAt > (options.maxAgeMs ?? Infinity)) return 'age';
    return kept + item.size > (options.maxBytes ?? Infinity) ? 'size' : undefined;
  }
}

async function neededBy(
  paths: CachePaths,
  referenced: readonly TemplateEntry[] | undefined,
): Promise<ReadonlySet<string> | undefined> {
  if (!referenced) return undefined;
  const byId = new Map((await readRecords(paths)).map((record) => [record.id, record.sha512]));
  return new Set(referenced.map((entry) => entry.sha512 ?? byId.get(entryId(entry))).filter(isSha512));
}

async function quarantined(paths: CachePaths): Promise<GcRemoval[]> {
  const files = await statFolder(paths.quarantine);
  return files.map(({ path, size }) => ({ path, name: undefined, size, reason: 'quarantine' }));
}

/** Partial downloads that may go; unless it is a dry run they are removed at once, each under its lock. */
async function partials(paths: CachePaths, options: GcOptions): Promise<GcRemoval[]> {
  const limit =
    options.partials === true ? -Infinity : Math.min(options.maxAgeMs ?? Infinity, PARTIAL_AGE_MS);
  const removals: GcRemoval[] = [];
  const files = await statFolder(paths.partial);
  const keys = new Set((await listFolder(paths.partial)).map((name) => name.replace(/\..*$/, '')));
  for (const key of keys) {
    const own = files.filter(({ path }) => basename(path).replace(/\..*$/, '') === key);
    const size = own.reduce((sum, file) => sum + file.size, 0);
    const changedAt = Math.max(...own.map((file) => file.changedAt));
    if (own.length === 0 || Date.now() - changedAt < limit) continue;
    const path = join(paths.partial, key);
    if (await removeIfIdle(paths, path, options))
      removals.push({ path, name: undefined, size, reason: 'partial' });
  }
  return removals;
}

async function removeIfIdle(paths: CachePaths, path: string, options: GcOptions): Promise<boolean> {
  const lock = await tryLock(join(paths.locks, `${basename(path)}.lock`));
  if (!lock) return false;
  try {
    if (options.dryRun === true) return true;
    await removePartial(path);
    await rm(`${path}.import`, { force: true });
    return true;
  } finally {
    await lock[Symbol.asyncDispose]();
  }
}
