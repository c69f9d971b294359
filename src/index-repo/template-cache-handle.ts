import { stat } from 'node:fs/promises';
import { EXIT, TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import type { Download, DownloadResult } from '../io/download.js';
import { removePartial } from '../io/download-state.js';
import { openFileSource } from '../io/file-source.js';
import { openFollowSource, openLeapingSource } from '../io/follow-source.js';
import { type ContentHash, hashSource, startHash } from '../io/hash-content.js';
import type { HttpOptions } from '../io/http-client.js';
import { type TemplateOrigin, checkContent } from './template-cache-check.js';
import type { TemplateEntry } from './template-entry.js';

/** The bytes of one template, which may be used before they have been verified, but not trusted. */
export interface TemplateHandle extends AsyncDisposable {
  /** Follows a running download, or a file; reads wait for the bytes. */
  readonly source: ByteSource;
  /** The same bytes; reads beyond what has arrived go as range requests where the server can. */
  readonly indexSource: ByteSource;
  readonly origin: TemplateOrigin;
  /**
   * Awaits all bytes, compares length, checksum and detached signature with what the index says, and only then lets the
   * file into the cache. Can be called again: the verdict stays.
   *
   * @throws TSB_CHECKSUM_MISMATCH, TSB_SIZE_MISMATCH, TSB_SIGNATURE_*; with `details.origin` 'cache' when the damage was
   *   in the cache, which no longer holds it: fetching again may help
   */
  verify(signal?: AbortSignal): Promise<void>;
}

/** Checks a detached signature over the file at `path`. @throws TSB_SIGNATURE_* */
export type DetachedCheck = (path: string, signal?: AbortSignal) => Promise<void>;

/** A handle on a file that is already here, hashed while it is used. */
export async function openFileHandle(file: {
  entry: TemplateEntry;
  path: string;
  origin: 'cache' | 'local';
  verifyDetached?: DetachedCheck | undefined;
  /** What to do with a file that fails its checksum. */
  onBad?: (() => Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}): Promise<TemplateHandle> {
  const { entry, path, origin } = file;
  const before = await fingerprint(path);
  const source = await openFileSource(path);
  const stop = new AbortController();
  const signal = file.signal ? AbortSignal.any([file.signal, stop.signal]) : stop.signal;
  const judge = async (): Promise<void> => {
    checkContent(entry, await hashAll(source, entry, signal), { origin, path });
    if (origin === 'local' && (await fingerprint(path)) !== before)
      throw new TsbuilderError('TSB_CONTENT_CHANGED', `${path}: was modified while it was read`);
    await file.verifyDetached?.(path, signal);
  };
  const verdict = judge().catch(async (error: unknown) => {
    if (isVerdict(error)) await file.onBad?.();
    throw error;
  });
  verdict.catch(() => undefined);
  return {
    source,
    indexSource: source,
    origin,
    verify: (waitSignal) => abortable(verdict, waitSignal),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await verdict.catch(() => undefined);
      await source[Symbol.asyncDispose]();
    },
  };
}

/** A handle on a running download, which it owns. `commit` puts the verified file where it belongs. */
export async function openDownloadHandle(work: {
  entry: TemplateEntry;
  download: Download;
  http: HttpOptions;
  verifyDetached?: DetachedCheck | undefined;
  commit: (result: DownloadResult) => Promise<void>;
  signal?: AbortSignal | undefined;
}): Promise<TemplateHandle> {
  const { entry, download, signal } = work;
  const source = await openFollowSource(download);
  const indexSource = await openLeapingSource(download, work.http);
  const judge = async (): Promise<void> => {
    const result = await download.done;
    try {
      const { resumed, path } = download;
      checkContent(entry, result, resumed ? { origin: 'cache', path } : { origin: 'download' });
      await work.verifyDetached?.(download.path, signal);
    } catch (error) {
      await removePartial(download.path);
      throw error;
    }
    await work.commit(result);
  };
  let verdict: Promise<void> | undefined;
  return {
    source,
    indexSource,
    origin: 'download',
    verify(waitSignal) {
      if (!verdict) {
        verdict = judge();
        // Whoever waits may be aborted before it looks.
        verdict.catch(() => undefined);
      }
      return abortable(verdict, waitSignal);
    },
    async [Symbol.asyncDispose]() {
      await indexSource[Symbol.asyncDispose]();
      await download[Symbol.asyncDispose]();
      await verdict?.catch(() => undefined);
    },
  };
}

/** Whether `error` says that the content is wrong, and not that it could not be examined. */
function isVerdict(error: unknown): boolean {
  return (
    error instanceof TsbuilderError && [EXIT.checksum, EXIT.signature].some((exit) => exit === error.exit)
  );
}

async function hashAll(source: ByteSource, entry: TemplateEntry, signal: AbortSignal): Promise<ContentHash> {
  const hasher = startHash({ sha256: entry.sha256 !== undefined });
  await hashSource(source, hasher, signal);
  return hasher.digest();
}

/** What changes when a file is written or replaced. */
async function fingerprint(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found ? `${found.ino}:${found.size}:${found.mtimeNs}` : '';
}

/** `promise`, or the abort reason as soon as `signal` is aborted. */
async function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
