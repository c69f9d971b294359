import { TsbuilderError } from '../../errors.js';
import type { FileStat, GuestFiles } from '../../guest/guest.js';
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

/** Where something called `name` comes to lie when it is sent to `path`: in it, when that is a folder, else there. */
export async function destination(guest: GuestFiles, path: string, name: string): Promise<string> {
  return (await isFolder(guest, path)) ? inside(path, name) : path;
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
    text: `holds a name that is no UTF-8 (${JSON.stringify(rawName)}), which cannot be dealt with`,
    reason: 'unsupported',
  });
}
