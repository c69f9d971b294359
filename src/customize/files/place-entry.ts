import type { FileAttributes, FileContent, Guest, SpecialFile } from '../../guest/guest.js';
import { inside, isFolder, lstatIfThere } from './guest-files.js';

/** Something that can have a name in a guest. */
export type Entry =
  | { readonly type: 'file'; readonly content: FileContent | AsyncIterable<Uint8Array> }
  | { readonly type: 'directory' }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'hardlink'; readonly existing: string }
  | SpecialFile;

/**
 * Gives `path` an entry with all its attributes, as tar does when it unpacks one: what is there is replaced, a link not
 * followed, and a folder that is there keeps its content and gets the attributes. Unlike tar, a link to a folder is
 * taken for that folder: in a guest whose `/lib` is a link to `/usr/lib`, a folder `lib` is no reason to hide all of
 * its libraries.
 *
 * @throws TSB_GUEST when the parent is missing, or a folder that is not empty is in the way of something else
 */
export async function placeEntry(
  guest: Guest,
  path: string,
  what: { entry: Entry; attributes: FileAttributes },
): Promise<void> {
  const { entry, attributes } = what;
  if (entry.type === 'directory') return placeFolder(guest, path, attributes);
  if (entry.type === 'hardlink' && (await sameFile(guest, entry.existing, path))) return;
  if (await lstatIfThere(guest, path)) await guest.remove(path);
  if (entry.type === 'file') await guest.writeFile(path, entry.content, attributes);
  else if (entry.type === 'symlink') await guest.symlink(entry.target, path, attributes);
  else if (entry.type === 'hardlink') await guest.hardLink(entry.existing, path);
  else await guest.makeNode(path, entry, attributes);
}

async function placeFolder(guest: Guest, path: string, attributes: FileAttributes): Promise<void> {
  if (await isFolder(guest, path)) return setAttributes(guest, path, attributes);
  if (await lstatIfThere(guest, path)) await guest.remove(path);
  await guest.mkdir(path, attributes);
}

/** Gives what `path` leads to these attributes and leaves the others. */
export async function setAttributes(guest: Guest, path: string, attributes: FileAttributes): Promise<void> {
  const { mode, uid, gid, mtime, xattrs } = attributes;
  if (uid !== undefined && gid !== undefined) await guest.chown(path, { uid, gid });
  if (mode !== undefined) await guest.chmod(path, mode);
  for (const [name, value] of xattrs ?? []) await guest.setXattr(path, name, value);
  if (mtime !== undefined) await guest.setTime(path, mtime);
}

async function sameFile(guest: Guest, first: string, second: string): Promise<boolean> {
  const name = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const folder = async (path: string): Promise<string> =>
    guest.realPath(path.slice(0, path.lastIndexOf('/')) || '/');
  return inside(await folder(first), name(first)) === inside(await folder(second), name(second));
}
