import { createHash } from 'node:crypto';
import { access, constants, mkdir, open, rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentHash } from '../io/hash-content.js';
import type { TemplateEntry } from './template-entry.js';

/** Where things are in a cache folder. No name in it comes from an index: only hashes do. */
export interface CachePaths {
  readonly dir: string;
  /** Whole, verified files, named by their SHA-512. */
  readonly content: string;
  readonly partial: string;
  readonly locks: string;
  /** Files whose bytes were not what their name says. */
  readonly quarantine: string;
  readonly index: string;
}

/** The layout of the cache in `dir`. */
export function cachePaths(dir: string): CachePaths {
  return {
    dir,
    content: join(dir, 'sha512'),
    partial: join(dir, 'partial'),
    locks: join(dir, 'locks'),
    quarantine: join(dir, 'quarantine'),
    index: join(dir, 'index.json'),
  };
}

/** Makes the folders of a cache, for this user only, and sees whether they can be written. @throws a system error when it cannot be written */
export async function makeCacheFolders(paths: CachePaths): Promise<void> {
  for (const dir of [paths.dir, paths.content, paths.partial, paths.locks, paths.quarantine])
    await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const dir of [paths.dir, paths.content, paths.partial, paths.locks])
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
}

/** What stands for `entry` where it has no SHA-512: 64 hex digits, different for every source, URL and revision, and for sources that are not checked. */
export function entryId(entry: TemplateEntry): string {
  const { source, url, name, arch, revision } = entry;
  return createHash('sha256')
    .update(JSON.stringify([source.uri, source.checked, url, name, arch, revision]))
    .digest('hex');
}

/** The name under which `entry` is downloaded and locked: its SHA-512, else its id. */
export function partialKey(entry: TemplateEntry): string {
  return isSha512(entry.sha512) ? entry.sha512 : entryId(entry);
}

/** The path of the content with that SHA-512. */
export function contentPath(paths: CachePaths, sha512: string): string {
  return join(paths.content, sha512);
}

/** Whether `text` is a SHA-512 in lower-case hex: only then may it become a file name. */
export function isSha512(text: string | undefined): text is string {
  return text !== undefined && /^[0-9a-f]{128}$/.test(text);
}

/**
 * Moves a verified file into the cache: it is on the disk before its name appears.
 *
 * @returns its new path
 * @throws a system error
 */
export async function commitContent(paths: CachePaths, file: string, hash: ContentHash): Promise<string> {
  const target = contentPath(paths, hash.sha512);
  await syncPath(file);
  await rename(file, target);
  await syncPath(paths.content);
  return target;
}

/** Notes that a cached file has been used now. A cache that cannot be written is used all the same. */
export async function touchContent(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
}

/** Sets a damaged file aside, so that it is neither used again nor lost. @returns where it is now */
export async function quarantineContent(paths: CachePaths, sha512: string): Promise<string> {
  const target = join(paths.quarantine, `${sha512}.${Date.now()}`);
  await rename(contentPath(paths, sha512), target);
  return target;
}

async function syncPath(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}
