import { join } from 'node:path';
import { EXIT, TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { type Download, type DownloadResult, startDownload } from '../io/download.js';
import { removePartial } from '../io/download-state.js';
import { writeError } from '../io/free-space.js';
import { type HttpOptions, openHttpClient } from '../io/http-client.js';
import { type ProbedFile, isSameVersion, probeFile, validatorOf } from '../io/http-identity.js';
import { pinUrl } from '../io/http-pin.js';
import { tellRetries, withRetries } from '../io/http-retry.js';
import { type Lock, acquireLock } from '../io/lock-file.js';
import { redactUrl } from '../io/redact-url.js';
import { parseLocation } from '../io/source-location.js';
import { type Progress, type Step, silentProgress } from '../progress.js';
import {
  type DetachedCheck,
  type TemplateHandle,
  openDownloadHandle,
  openFileHandle,
} from './template-cache-handle.js';
import { openPrivateFolder } from './template-cache-private.js';
import { type CacheRecord, addRecord, readRecords, recordOf } from './template-cache-records.js';
import { detachedCheckOf } from './template-cache-signature.js';
import {
  type CachePaths,
  cachePaths,
  commitContent,
  contentPath,
  entryId,
  isSha512,
  makeCacheFolders,
  partialKey,
  quarantineContent,
  touchContent,
} from './template-cache-store.js';
import type { BlockMapOptions } from './template-block-map.js';
import { namingDamage, soundPrefix } from './template-damage.js';
import type { TemplateEntry } from './template-entry.js';

/** How to fetch a template. */
export interface TemplateFetchOptions {
  readonly progress?: Progress | undefined;
  /** Use only what is here already. */
  readonly offline?: boolean | undefined;
  /** Neither look into the cache nor leave anything in it. */
  readonly noCache?: boolean | undefined;
  /** In place of the check of the entry's own detached signature: called with the path of the whole file. */
  readonly verifyDetached?: DetachedCheck | undefined;
  /** Time-outs, retries; the proxy comes from the entry's source. */
  readonly http?: HttpOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The slack above the virtual size that a file as served may have: headers, and data that does not compress. */
const SLACK = 64 * 1024 * 1024;

/**
 * Opens the bytes of `entry`: in place when they are local, from the cache, or from a download that others wait for.
 *
 * @throws TSB_INDEX_UNSIGNED when nobody vouches for the content, TSB_OFFLINE, TSB_NOT_FOUND, TSB_NO_SPACE, TSB_HTTP_STATUS, TSB_NETWORK, TSB_NETWORK_TIMEOUT, TSB_SIZE_MISMATCH
 */
export async function fetchTemplate(
  paths: CachePaths,
  entry: TemplateEntry,
  options: TemplateFetchOptions = {},
): Promise<TemplateHandle> {
  options.signal?.throwIfAborted();
  const http = { ...options.http, proxy: entry.source.proxy ?? options.http?.proxy };
  const verifyDetached = options.verifyDetached ?? detachedCheckOf(entry, http);
  const handle = await fetchChecked(paths, entry, { ...options, http, verifyDetached });
  return namingDamage(handle, entry, mapOptions(paths, { ...options, http }));
}

function mapOptions(paths: CachePaths, options: TemplateFetchOptions): BlockMapOptions {
  const { noCache, offline, http, signal } = options;
  return { cacheDir: noCache === true ? undefined : paths.dir, offline, http, signal };
}

async function fetchChecked(
  paths: CachePaths,
  entry: TemplateEntry,
  options: TemplateFetchOptions,
): Promise<TemplateHandle> {
  const { signal, verifyDetached } = options;
  const location = parseLocation(entry.url);
  if (location.kind === 'file')
    return openFileHandle({ entry, path: location.path, origin: 'local', verifyDetached, signal });
  if (options.noCache === true) return fetchPrivately(entry, options);
  const cached = await openCached(paths, entry, options);
  if (cached) return cached;
  if (options.offline === true) throw offlineError(entry);
  if (!(await isUsable(paths, options))) return fetchPrivately(entry, options);
  return fetchIntoCache(paths, entry, options);
}

async function fetchIntoCache(
  paths: CachePaths,
  entry: TemplateEntry,
  options: TemplateFetchOptions,
): Promise<TemplateHandle> {
  const { progress = silentProgress, signal } = options;
  const onWait = (holder: string): void =>
    progress.warn(`${entry.name} is being downloaded by ${holder}: waiting for it`);
  const lock = await acquireLock(join(paths.locks, `${partialKey(entry)}.lock`), { onWait, signal });
  try {
    // Whoever held the lock may have fetched it meanwhile.
    const cached = await openCached(paths, entry, options);
    if (!cached) return await downloadUnderLock(paths, entry, { ...options, lock });
    await lock[Symbol.asyncDispose]();
    return cached;
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts the download; its handle lets the lock go after the commit, or when it is disposed of. */
async function downloadUnderLock(
  paths: CachePaths,
  entry: TemplateEntry,
  options: TemplateFetchOptions & { lock: AsyncDisposable & Partial<Lock> },
): Promise<TemplateHandle> {
  const { lock, verifyDetached } = options;
  const signals = [options.signal, lock.lost].filter((signal) => signal !== undefined);
  const signal = AbortSignal.any(signals);
  const { http = {} } = options;
  const download = await startTemplateDownload(paths, entry, { ...options, signal });
  const commit = async (result: DownloadResult): Promise<void> => {
    try {
      await commitContent(paths, download.path, result);
      await removePartial(download.path);
      await addRecord(paths, recordOf(entry, result));
    } catch (error) {
      throw writeError(paths.dir, error);
    }
    await lock[Symbol.asyncDispose]();
  };
  try {
    const handle = await openDownloadHandle({ entry, download, http, verifyDetached, commit, signal });
    return alsoDispose(handle, lock);
  } catch (error) {
    await download[Symbol.asyncDispose]();
    throw error;
  }
}

async function startTemplateDownload(
  paths: CachePaths,
  entry: TemplateEntry,
  options: TemplateFetchOptions,
): Promise<Download> {
  const { progress = silentProgress, http, signal } = options;
  let step: Step | undefined;
  const download = await startDownload({
    ...http,
    url: entry.url,
    path: join(paths.partial, partialKey(entry)),
    maxSize: Math.ceil(Math.max(entry.size, entry.compressedSize ?? 0) * 1.125) + SLACK,
    sha256: entry.sha256 !== undefined,
    soundPrefix: (partial) => soundPrefix(partial, entry, mapOptions(paths, options)),
    onStart: (size) => (step = progress.step(`Downloading ${entry.name}`, size)),
    onBytes: (bytes) => step?.advance(bytes),
    onRetry: tellRetries((sentence) => progress.detail(sentence)),
    signal,
  });
  const end = (): void => step?.[Symbol.dispose]();
  download.done.then(end, end);
  return download;
}

/** A handle on the cached content of `entry`, or undefined when there is none or it is out of date. */
async function openCached(
  paths: CachePaths,
  entry: TemplateEntry,
  options: TemplateFetchOptions,
): Promise<TemplateHandle | undefined> {
  // What was noted under the same id was checked before it got there: offline that has to do.
  const verifyDetached = options.offline === true ? undefined : options.verifyDetached;
  const { signal } = options;
  const record = isSha512(entry.sha512) ? undefined : await recordFor(paths, entry);
  const sha512 = entry.sha512 ?? record?.sha512;
  if (!isSha512(sha512)) return undefined;
  if (record && entry.sha256 === undefined && !(await isCurrent(record, entry, options))) return undefined;
  const path = contentPath(paths, sha512);
  const onBad = async (): Promise<void> => {
    await quarantineContent(paths, sha512).catch(() => undefined);
  };
  try {
    const expected = { ...entry, sha512 };
    const handle = await openFileHandle({
      entry: expected,
      path,
      origin: 'cache',
      verifyDetached,
      onBad,
      signal,
    });
    await touchContent(path);
    return handle;
  } catch (error) {
    // Not there, or in a folder that is none: whether the cache can be used at all is seen when it is written.
    if (error instanceof TsbuilderError && ['TSB_NOT_FOUND', 'TSB_IO'].includes(error.code)) return undefined;
    throw error;
  }
}

/** The path of the cached content of `entry`, whether or not its server has something newer; undefined if there is none. */
export async function findCachedContent(
  paths: CachePaths,
  entry: TemplateEntry,
): Promise<string | undefined> {
  const sha512 = entry.sha512 ?? (await recordFor(paths, entry))?.sha512;
  return isSha512(sha512) ? contentPath(paths, sha512) : undefined;
}

async function recordFor(paths: CachePaths, entry: TemplateEntry): Promise<CacheRecord | undefined> {
  const id = entryId(entry);
  const records = await readRecords(paths);
  return records.find((record) => record.id === id && (entry.sha256 ?? record.sha256) === record.sha256);
}

/** Whether a server still has the version that was cached. Without a checksum in the index only its validators tell. */
async function isCurrent(
  record: CacheRecord,
  entry: TemplateEntry,
  options: TemplateFetchOptions,
): Promise<boolean> {
  if (options.offline === true) return true;
  const { etag, lastModified, size } = record;
  try {
    const found = await probe(entry, options);
    if (validatorOf(found) === undefined || (etag ?? lastModified) === undefined) return false;
    return isSameVersion({ etag, lastModified, size }, found);
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.exit !== EXIT.network) throw error;
    options.progress?.warn(`${error.message}; using the copy of ${entry.name} in the cache`);
    return true;
  }
}

async function probe(entry: TemplateEntry, options: TemplateFetchOptions): Promise<ProbedFile> {
  const { http, signal } = options;
  await using client = await openHttpClient(http);
  const pinned = pinUrl(client, entry.url);
  return await withRetries(() => probeFile(pinned, signal), { ...http, signal });
}

/** Without a cache: a folder of this process's own, removed with the handle. */
async function fetchPrivately(entry: TemplateEntry, options: TemplateFetchOptions): Promise<TemplateHandle> {
  if (options.offline === true) throw offlineError(entry);
  const folder = await openPrivateFolder();
  try {
    const paths = cachePaths(folder.path);
    await makeCacheFolders(paths);
    return await downloadUnderLock(paths, entry, { ...options, lock: folder });
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

async function isUsable(paths: CachePaths, options: TemplateFetchOptions): Promise<boolean> {
  try {
    await makeCacheFolders(paths);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOSPC') throw writeError(paths.dir, error);
    const { progress = silentProgress } = options;
    progress.warn(`the cache ${paths.dir} cannot be used (${messageOf(error)}): carrying on without it`);
    return false;
  }
}

function alsoDispose(handle: TemplateHandle, other: AsyncDisposable): TemplateHandle {
  return {
    ...handle,
    async [Symbol.asyncDispose]() {
      await handle[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    },
  };
}

function offlineError(entry: TemplateEntry): TsbuilderError {
  return new TsbuilderError(
    'TSB_OFFLINE',
    `${entry.name} (${entry.arch}, revision ${entry.revision}) is not in the cache`,
    {
      hint: `Fetch it while online: tsbuilder cache fetch ${entry.name}`,
      details: { name: entry.name, url: redactUrl(entry.url) },
    },
  );
}
