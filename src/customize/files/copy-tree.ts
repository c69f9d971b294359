import type { FileAttributes, FileStat, Guest } from '../../guest/guest.js';
import { guestContent, guestError, inside, isFolder, lstatIfThere, unreachableName } from './guest-files.js';
import { setAttributes } from './place-entry.js';

/** How deep a tree may be: one that is in itself by damage has no end. */
const MAX_DEPTH = 2048;

interface Copy {
  readonly guest: Guest;
  /** The first copy of every file that has several names. */
  readonly copied: Map<number, string>;
}

/**
 * Copies a file, link or folder with all in it to the path `to` of the same guest, as `cp -a` does: modes, owners, times,
 * attributes, links and hard links among the files stay. A folder that is there already is filled, a file written over.
 *
 * @throws TSB_GUEST when `from` is missing, `to` is inside it or taken by something else
 */
export async function copyTree(guest: Guest, from: string, to: string): Promise<void> {
  const stat = await guest.lstat(from);
  if (stat.type === 'directory') await assertOutside(guest, from, to);
  await copyOne({ guest, copied: new Map() }, { from, to, stat, depth: 0 });
}

interface Step {
  readonly from: string;
  readonly to: string;
  readonly stat: FileStat;
  readonly depth: number;
}

async function copyOne(copy: Copy, step: Step): Promise<void> {
  const { guest, copied } = copy;
  const { from, to, stat } = step;
  const { id, type } = stat;
  if (type === 'directory') return copyFolder(copy, step);
  await assertReplaceable(guest, to, stat);
  const first = copied.get(id);
  if (first !== undefined) return guest.hardLink(first, to);
  const attributes = await attributesOf(guest, from, stat);
  if (type === 'file') await guest.writeFile(to, guestContent(guest, from), attributes);
  else if (type === 'symlink') await guest.symlink(await guest.readLink(from), to, attributes);
  else if (type === 'socket') throw guestError(guest, from, { text: 'a socket', reason: 'unsupported' });
  else await guest.makeNode(to, nodeOf(stat, type), attributes);
  if (stat.links > 1) copied.set(id, to);
}

async function copyFolder(copy: Copy, { from, to, stat, depth }: Step): Promise<void> {
  const { guest } = copy;
  if (depth > MAX_DEPTH) throw guestError(guest, from, { text: 'too deep', reason: 'unsupported' });
  const attributes = await attributesOf(guest, from, stat);
  if (!(await isFolder(guest, to))) {
    if (await lstatIfThere(guest, to)) {
      throw guestError(guest, to, { text: `no folder, as ${from} is`, reason: 'not-folder' });
    }
    // Without what the folder above would give it.
    await guest.mkdir(to, { xattrs: new Map() });
  }
  for (const { name, rawName, stat: child } of await guest.entries(from, { details: true })) {
    if (name === undefined || !child) throw unreachableName(guest, from, rawName);
    await copyOne(copy, { from: inside(from, name), to: inside(to, name), stat: child, depth: depth + 1 });
  }
  await setAttributes(guest, to, attributes);
}

async function attributesOf(guest: Guest, path: string, stat: FileStat): Promise<FileAttributes> {
  const { mode, uid, gid, mtime } = stat;
  const xattrs = await guest.getXattrs(path, { follow: 'parents' });
  return { mode, uid, gid, mtime, xattrs };
}

function nodeOf(stat: FileStat, type: 'character' | 'block' | 'fifo'): Parameters<Guest['makeNode']>[1] {
  return type === 'fifo' ? { type } : { type, device: stat.device ?? { major: 0, minor: 0 } };
}

async function assertReplaceable(guest: Guest, to: string, stat: FileStat): Promise<void> {
  const there = await lstatIfThere(guest, to);
  if (there?.type === 'directory') {
    throw guestError(guest, to, { text: 'there is a folder of that name', reason: 'is-folder' });
  }
  if (stat.type === 'file' && there?.type === 'symlink' && !(await guest.exists(to))) {
    throw guestError(guest, to, { text: 'a link that leads nowhere', reason: 'not-found' });
  }
}

async function assertOutside(guest: Guest, from: string, to: string): Promise<void> {
  const source = inside(await guest.realPath(from), '');
  if (!inside(await guest.realPath(to), '').startsWith(source)) return;
  throw guestError(guest, to, { text: `is inside ${from}, which is to come there`, reason: 'unsupported' });
}
