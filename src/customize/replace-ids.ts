import { TsbuilderError } from '../errors.js';
import type { Guest, GuestEntry, GuestFiles } from '../guest/guest.js';
import type { IdText } from './id-text.js';

/** A file that is searched for old ids. */
export interface SearchedFile {
  /** For messages. */
  readonly label: string;
  readonly size: number;
  /** Exactly `length` bytes. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** What a search does with the files that it meets: it says whether one is to be changed, and refuses what cannot be. */
export interface IdSearch {
  readonly ids: IdText;
  /** @throws TSB_GUEST when an old id is in the file and cannot be replaced there */
  judge(file: SearchedFile, kind: 'settings' | 'boot'): Promise<'change' | 'keep'>;
  /** Whether a file of this path, on a filesystem that is no ext, is searched by other means. */
  isElsewhere(path: string): boolean;
  /** @throws TSB_GUEST: an old id is in a place that cannot be changed */
  refuse(where: string, detail: string): never;
}

/** Where systems keep what names filesystems; a filesystem that belongs to no system has such folders too. */
const SYSTEM_FOLDERS = [
  ['/etc', 'settings'],
  ['/boot', 'boot'],
] as const;
export const STRAY_FOLDERS = [
  '/boot',
  '/etc',
  '/grub',
  '/grub2',
  '/loader',
  '/extlinux',
  '/syslinux',
  '/EFI',
];

/**
 * Looks through a guest's settings and boot files for old ids, links not followed.
 *
 * @returns the paths of the text files that have some
 * @throws TSB_GUEST where one cannot be replaced: in a binary file, an initramfs, the name of a file or the target of a link
 */
export async function searchGuest(
  files: GuestFiles,
  search: IdSearch,
  folders: readonly (readonly [string, 'settings' | 'boot'])[] = SYSTEM_FOLDERS,
): Promise<string[]> {
  const found: string[] = [];
  for (const [folder, kind] of folders) {
    if (await exists(files, folder)) await searchFolder({ files, search, kind, found }, folder);
  }
  return found;
}

interface Walk {
  readonly files: GuestFiles;
  readonly search: IdSearch;
  readonly kind: 'settings' | 'boot';
  readonly found: string[];
}

/** Folders below a folder; deeper ones are a loop or an attack. */
const MAX_DEPTH = 32;

async function searchFolder(walk: Walk, folder: string): Promise<void> {
  const { files, search } = walk;
  if (folder.split('/').length > MAX_DEPTH) search.refuse(folder, 'its folders are too deep to be searched');
  let entries: readonly GuestEntry[];
  try {
    entries = await files.entries(folder, { details: true });
  } catch (error) {
    if (isOther(error) && search.isElsewhere(folder)) return;
    throw error;
  }
  for (const entry of entries) await searchEntry(walk, folder, entry);
}

async function searchEntry(walk: Walk, folder: string, entry: GuestEntry): Promise<void> {
  const { search, files } = walk;
  const path = `${folder}/${entry.name ?? entry.rawName}`;
  if (search.ids.find(Buffer.from(entry.rawName, 'latin1')).length > 0) search.refuse(path, 'in its name');
  if (entry.rawTarget !== undefined && search.ids.find(Buffer.from(entry.rawTarget, 'latin1')).length > 0)
    search.refuse(path, 'in the target of the link');
  if (entry.name === undefined || !entry.stat) return;
  if (search.isElsewhere(path)) return;
  if (entry.stat.type === 'directory') return searchFolder(walk, path);
  if (entry.stat.type !== 'file') return;
  const file: SearchedFile = {
    label: path,
    size: entry.stat.size,
    read: (offset, length) => files.readRange(path, offset, length),
  };
  if ((await search.judge(file, walk.kind)) === 'change') walk.found.push(path);
}

/** Writes the files of `paths` anew with the new ids; owner, mode and labels stay. Not committed. */
export async function replaceIds(guest: Guest, paths: readonly string[], ids: IdText): Promise<void> {
  for (const path of paths) await guest.writeFile(path, ids.replace(await guest.readFile(path)));
}

async function exists(files: GuestFiles, path: string): Promise<boolean> {
  try {
    return (await files.lstat(path)).type === 'directory';
  } catch (error) {
    if (error instanceof TsbuilderError && error.details['reason'] === 'not-found') return false;
    if (isOther(error)) return true;
    throw error;
  }
}

function isOther(error: unknown): boolean {
  return error instanceof TsbuilderError && error.details['reason'] === 'other-filesystem';
}
