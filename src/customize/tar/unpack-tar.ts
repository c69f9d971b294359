import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import type { ByteSource } from '../../io/byte-source.js';
import { inside, lstatIfThere } from '../files/guest-files.js';
import { type Entry, placeEntry } from '../files/place-entry.js';
import { type TarEntry, readTar } from './read-tar.js';
import { tarError } from './tar-error.js';
import { entryXattrs } from './tar-xattrs.js';

const MAX_ID = 0xfffffffe;

/** What unpacking needs besides the guest. */
export interface UnpackOptions {
  warn(message: string): void;
  readonly signal?: AbortSignal | undefined;
}

interface Unpacking extends UnpackOptions {
  readonly guest: Guest;
  readonly archive: string;
  readonly folder: string;
  /** Links that this archive has made, by their paths without links. */
  readonly madeLinks: Set<string>;
  /** Folders and their times, to be set when nothing comes into them any more. */
  readonly times: Map<string, number>;
}

/**
 * Unpacks an archive into `folder` of the guest: modes, numbers of owners, times, links, devices and extended attributes
 * as they are in it. Slashes at the beginning of names are dropped. Refused are names with `..`, and members
 * that would be reached through a link which the archive itself has made, so that everything comes where its name says.
 *
 * @throws TSB_USAGE when the archive is damaged or refused, TSB_GUEST
 */
export async function unpackTar(
  guest: Guest,
  from: { source: ByteSource; folder: string },
  options: UnpackOptions,
): Promise<void> {
  await assertUncompressed(from.source);
  const unpacking: Unpacking = {
    guest,
    archive: from.source.name,
    folder: from.folder,
    madeLinks: new Set(),
    times: new Map(),
    signal: options.signal,
    warn: (message) => options.warn(message),
  };
  for await (const entry of readTar(from.source, options)) await unpackEntry(unpacking, entry);
  for (const [path, mtime] of unpacking.times) await guest.setTime(path, mtime);
}

async function unpackEntry(unpacking: Unpacking, entry: TarEntry): Promise<void> {
  const { guest, archive } = unpacking;
  const { mode, mtime, uid, gid } = entry;
  unpacking.signal?.throwIfAborted();
  if (uid > MAX_ID || gid > MAX_ID)
    throw tarError(archive, entry.offset, `${entry.path} belongs to ${uid}:${gid}`);
  const path = await realPlace(unpacking, entry, entry.path);
  if (path === undefined) return;
  const xattrs = entryXattrs(entry, (message) => unpacking.warn(`${archive}: ${message}`));
  await placeEntry(guest, path, {
    entry: await contentOf(unpacking, entry),
    attributes: { mode, uid, gid, mtime, xattrs },
  });
  if (entry.type === 'directory') unpacking.times.set(path, mtime);
  else unpacking.times.delete(path);
  if (entry.type === 'symlink') unpacking.madeLinks.add(path);
  else unpacking.madeLinks.delete(path);
}

async function contentOf(unpacking: Unpacking, entry: TarEntry): Promise<Entry> {
  const { type, device } = entry;
  if (type === 'file') return { type, content: entry.content(unpacking.signal) };
  if (type === 'symlink') return { type, target: entry.linkName };
  if (type === 'character' || type === 'block') return { type, device };
  if (type !== 'hardlink') return { type };
  const existing = await realPlace(unpacking, entry, entry.linkName);
  if (existing === undefined)
    throw tarError(unpacking.archive, entry.offset, `${entry.path} is a link to nothing`);
  return { type, existing };
}

/**
 * Where a member comes to lie: its path in the guest, without links but in its last component. Folders that are missing
 * are made. Undefined for the folder itself that is unpacked into.
 */
async function realPlace(unpacking: Unpacking, entry: TarEntry, name: string): Promise<string | undefined> {
  const { guest, archive, madeLinks } = unpacking;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw tarError(archive, entry.offset, `the name ${JSON.stringify(name)} has .. in it`);
  const last = parts.pop();
  let folder = await guest.realPath(unpacking.folder);
  for (const part of parts) {
    const path = inside(folder, part);
    if (madeLinks.has(path)) {
      const text = `${JSON.stringify(name)} leads through a link that the archive itself has made`;
      throw tarError(archive, entry.offset, text);
    }
    if (!(await lstatIfThere(guest, path))) await guest.mkdir(path);
    folder = await guest.realPath(path);
  }
  if (last === undefined) return undefined;
  const path = inside(folder, last);
  // A link that the archive has made is no folder to it.
  if (entry.type === 'directory' && madeLinks.has(path)) await guest.remove(path);
  return path;
}

const COMPRESSED: readonly (readonly [string, string])[] = [
  ['1f8b', 'gzip'],
  ['425a68', 'bzip2'],
  ['fd377a585a00', 'xz'],
  ['28b52ffd', 'zstd'],
];

async function assertUncompressed(source: ByteSource): Promise<void> {
  const head = Buffer.from(await source.read(0, Math.min(6, source.size))).toString('hex');
  const found = COMPRESSED.find(([magic]) => head.startsWith(magic));
  if (!found) return;
  throw new TsbuilderError('TSB_USAGE', `${source.name}: a compressed archive (${found[1]})`, {
    hint: `Unpack it first: ${found[1]} -d`,
  });
}
