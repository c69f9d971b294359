import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentHash } from '../io/hash-content.js';
import type { HttpIdentity } from '../io/http-identity.js';
import { withLock } from '../io/lock-file.js';
import { redactUrl } from '../io/redact-url.js';
import { type CachePaths, entryId, isSha512 } from './template-cache-store.js';
import type { TemplateEntry } from './template-entry.js';

/** What the cache knows about one entry that it holds. */
export interface CacheRecord {
  /** As `entryId` makes it. */
  readonly id: string;
  readonly name: string;
  readonly arch: string;
  readonly revision: string;
  /** URI of the source, redacted. */
  readonly source: string;
  /** URL of the template, redacted. */
  readonly url: string;
  readonly sha512: string;
  readonly sha256?: string | undefined;
  /** Bytes of the file as served. */
  readonly size: number;
  /** The server's validators, to see whether a template without a checksum has changed. */
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly addedAt: number;
}

const LIMIT = 64 * 1024 * 1024;

/** The record of `entry` with the content `hash`, and what its server said about it. */
export function recordOf(entry: TemplateEntry, content: ContentHash & Partial<HttpIdentity>): CacheRecord {
  const { name, arch, revision } = entry;
  const { sha512, sha256, size, etag, lastModified } = content;
  const where = { source: redactUrl(entry.source.uri), url: redactUrl(entry.url) };
  const version = { sha512, sha256, size, etag, lastModified };
  return { id: entryId(entry), name, arch, revision, ...where, ...version, addedAt: Date.now() };
}

/** All records. A missing or damaged list counts as empty: content is found by its hash all the same. */
export async function readRecords(paths: CachePaths): Promise<CacheRecord[]> {
  const text = await readFile(paths.index, 'utf8').catch(() => '');
  if (text.length > LIMIT) return [];
  try {
    const value = JSON.parse(text) as { entries?: unknown };
    return Array.isArray(value.entries) ? value.entries.filter(isRecord) : [];
  } catch {
    return [];
  }
}

/**
 * Replaces the list of records by what `change` makes of it: under a lock, whole or not at all.
 *
 * @throws TSB_LOCKED or a system error when the cache cannot be written
 */
export async function changeRecords(
  paths: CachePaths,
  change: (records: CacheRecord[]) => CacheRecord[],
  signal?: AbortSignal,
): Promise<void> {
  await withLock(join(paths.locks, 'index.lock'), { signal }, async () => {
    const entries = change(await readRecords(paths));
    const temporary = `${paths.index}.new`;
    try {
      await writeFile(temporary, `${JSON.stringify({ version: 1, entries }, null, 1)}\n`, { mode: 0o600 });
      await rename(temporary, paths.index);
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

/** Adds `record`, in place of an older one about the same entry. @throws as `changeRecords` */
export async function addRecord(paths: CachePaths, record: CacheRecord): Promise<void> {
  await changeRecords(paths, (records) => [...records.filter(({ id }) => id !== record.id), record]);
}

function isRecord(value: unknown): value is CacheRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Record<string, unknown>;
  const texts = ['id', 'name', 'arch', 'revision', 'source', 'url', 'sha512'];
  const optional = ['sha256', 'etag', 'lastModified'];
  return (
    texts.every((key) => typeof record[key] === 'string') &&
    optional.every((key) => record[key] === undefined || typeof record[key] === 'string') &&
    ['size', 'addedAt'].every((key) => Number.isSafeInteger(record[key])) &&
    isSha512(record['sha512'] as string)
  );
}
