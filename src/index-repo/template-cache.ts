import { stat } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { type TemplateFetchOptions, fetchTemplate, findCachedContent } from './template-cache-fetch.js';
import { type GcOptions, type GcRemoval, clearCache, collectGarbage } from './template-cache-gc.js';
import type { DetachedCheck, TemplateHandle } from './template-cache-handle.js';
import { importFile } from './template-cache-import.js';
import { type CacheVerdict, type CachedTemplate, listCache, verifyCache } from './template-cache-list.js';
import { cachePaths } from './template-cache-store.js';
import type { TemplateEntry } from './template-entry.js';

export type { TemplateFetchOptions } from './template-cache-fetch.js';
export type { DetachedCheck, TemplateHandle } from './template-cache-handle.js';

/**
 * The templates that this machine has, content-addressed: a file in the cache is named by its SHA-512 and was whole and
 * verified when it got that name. Safe for any number of processes: one downloads, the others wait for it.
 */
export interface TemplateCache {
  readonly dir: string;
  /** Opens the bytes of `entry`, verified or not yet: call the handle's `verify`. @throws see `fetchTemplate` */
  fetch(entry: TemplateEntry, options?: TemplateFetchOptions): Promise<TemplateHandle>;
  /** Makes sure that `entry` is in the cache, whole and verified. @returns its path. @throws see `fetchTemplate` */
  ensure(entry: TemplateEntry, options?: TemplateFetchOptions): Promise<string>;
  /** The path of `entry` in the cache, or undefined. */
  lookup(entry: TemplateEntry): Promise<string | undefined>;
  /** Everything in the cache, most recently used first. */
  list(): Promise<CachedTemplate[]>;
  /** Hashes every file again and sets damaged ones aside. */
  verify(options?: {
    onDone?: (item: CachedTemplate) => void;
    signal?: AbortSignal;
  }): Promise<CacheVerdict[]>;
  /** Removes what `options` say; returns what was removed. */
  gc(options?: GcOptions): Promise<GcRemoval[]>;
  /** Removes everything. */
  clear(signal?: AbortSignal): Promise<GcRemoval[]>;
  /** Takes in a file that came some other way, if it is what `entry` says; returns its path in the cache. */
  importFile(
    path: string,
    entry: TemplateEntry,
    options?: { verifyDetached?: DetachedCheck; signal?: AbortSignal },
  ): Promise<string>;
}

/** The cache in the folder `dir`, which is made when it is first written. */
export function openTemplateCache(dir: string): TemplateCache {
  const paths = cachePaths(dir);
  const cache: TemplateCache = {
    dir,
    fetch: (entry, options) => fetchTemplate(paths, entry, options),
    ensure: (entry, options) => ensure(cache, entry, options),
    async lookup(entry) {
      const path = await findCachedContent(paths, entry);
      const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
      return found?.isFile() === true ? path : undefined;
    },
    list: () => listCache(paths),
    verify: (options) => verifyCache(paths, options),
    gc: (options) => collectGarbage(paths, options),
    clear: (signal) => clearCache(paths, signal),
    importFile: (path, entry, options = {}) =>
      importFile(paths, { path, entry, verifyDetached: options.verifyDetached }, options.signal),
  };
  return cache;
}

/**
 * Whether fetching again may help after `error`: the damage was in what the cache kept, whole or partial, and the cache
 * has got rid of it.
 */
export function isCacheDamage(error: unknown): boolean {
  return error instanceof TsbuilderError && error.details['origin'] === 'cache';
}

async function ensure(
  cache: TemplateCache,
  entry: TemplateEntry,
  options: TemplateFetchOptions = {},
): Promise<string> {
  try {
    return await ensureOnce(cache, entry, options);
  } catch (error) {
    if (!isCacheDamage(error)) throw error;
    options.progress?.warn(`${(error as Error).message}; fetching it again`);
    return ensureOnce(cache, entry, options);
  }
}

async function ensureOnce(
  cache: TemplateCache,
  entry: TemplateEntry,
  options: TemplateFetchOptions,
): Promise<string> {
  await using handle = await cache.fetch(entry, options);
  await handle.verify(options.signal);
  if (handle.origin === 'local') return handle.source.name;
  const path = await cache.lookup(entry);
  if (path !== undefined) return path;
  throw new TsbuilderError('TSB_IO', `${entry.name}: the cache ${cache.dir} could not keep it`, {
    hint: 'Give a folder that can be written with --cache.',
  });
}
