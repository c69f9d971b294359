import { TsbuilderError } from '../../errors.js';
import type { FileStat, GuestFiles } from '../../guest/guest.js';
import { printableBytes } from '../../io/printable.js';
import { type PathProblem } from '../../guest/resolve-path.js';
import { isMissing } from '../../guest/read-files.js';

const PIECE = 1024 * 1024;

/** What `path` itself is, or undefined when there is nothing. */
export async function lstatIfThere(guest: GuestFiles, path: string): Promise<FileStat | undefined> {
  try {
    return await guest.lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether `path` leads to a folder, links followed. */
export async function isFolder(guest: GuestFiles, path: string): Promise<boolean> {
  return (await guest.exists(path)) && (await guest.stat(path)).type === 'directory';
}

/** `name` in the folder `folder`. */
export function inside(folder: string, name: string): string {
  return `${folder.replace(/\/+$/, '')}/${name}`;
}

/** The last component of a path; empty for the root. */
export function lastName(path: string): string {
  return path.split('/').findLast((part) => part !== '') ?? '';
}

/**
 * Where `what` comes to lie when it is sent to `path`: in it, when that is a folder, else there. A path that ends in a slash means a folder,
 * as for mv(1) and cp(1): only a folder can come to lie there when there is none.
 *
 * @throws TSB_GUEST when `path` ends in a slash and is no folder
 */
export async function destination(
  guest: GuestFiles,
  path: string,
  what: { readonly name: string; readonly type: FileStat['type'] },
): Promise<string> {
  if (await isFolder(guest, path)) return inside(path, what.name);
  if (!path.endsWith('/')) return path;
  const plain = path.replace(/\/+$/, '');
  if (await lstatIfThere(guest, plain))
    throw guestError(guest, path, { text: 'not a folder', reason: 'not-folder' });
  if (what.type === 'directory') return plain;
  throw guestError(guest, path, {
    text: 'no such folder, and what ends in / must be one',
    reason: 'not-folder',
  });
}

/**
 * What `path` itself is, of something to be moved or copied. One that ends in a slash must be a folder.
 *
 * @throws TSB_GUEST when there is nothing, or no folder
 */
export async function sourceStat(guest: GuestFiles, path: string): Promise<FileStat> {
  const stat = await guest.lstat(path);
  if (!path.endsWith('/') || stat.type === 'directory') return stat;
  throw guestError(guest, path, { text: 'not a folder', reason: 'not-folder' });
}

/** The content of a regular file in pieces, however large it is. */
export async function* guestContent(guest: GuestFiles, path: string): AsyncGenerator<Uint8Array> {
  const { size } = await guest.stat(path);
  for (let at = 0; at < size; at += PIECE) yield await guest.readRange(path, at, Math.min(PIECE, size - at));
}

/** A TSB_GUEST error about a path, like those of the guest itself. */
export function guestError(
  guest: GuestFiles,
  path: string,
  problem: { text: string; reason: PathProblem },
): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', `${path} in ${guest.name}: ${problem.text}`, {
    details: { path, reason: problem.reason },
  });
}

/** A name that no path leads to. */
export function unreachableName(guest: GuestFiles, folder: string, rawName: string): TsbuilderError {
  return guestError(guest, folder, {
    text: `holds a name that is no UTF-8 ("${printableBytes(Buffer.from(rawName, 'latin1'))}"), which cannot be dealt with`,
    reason: 'unsupported',
  });
}
