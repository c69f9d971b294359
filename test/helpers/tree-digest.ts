import { createHash } from 'node:crypto';
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileStat, GuestFiles } from '../../src/guest/guest.js';

const MAX_FILE = 1024 ** 3;

/** Lines that say what files are, by path: type, permissions, owner, number of names, then content, target or device. */
export type TreeDigest = Map<string, string>;

/** Everything below a folder of a guest, with extended attributes. Content is there as its SHA-256 (16 digits). */
export async function treeDigest(files: GuestFiles, folder = '/'): Promise<TreeDigest> {
  const tree: TreeDigest = new Map();
  for (const { name, rawName, stat } of await files.entries(folder, { details: true })) {
    if (name === undefined || !stat) throw new Error(`${folder}: ${rawName} is no UTF-8`);
    const path = `${folder === '/' ? '' : folder}/${name}`;
    tree.set(path, await describe(files, path, stat));
    if (stat.type === 'directory')
      for (const [below, line] of await treeDigest(files, path)) tree.set(below, line);
  }
  return tree;
}

async function describe(files: GuestFiles, path: string, stat: FileStat): Promise<string> {
  const { type, device, links } = stat;
  const facts = [head(type, stat)];
  if (type === 'file') facts.push(`x${links}`, hash(await files.readFile(path, { maxBytes: MAX_FILE })));
  if (type === 'symlink') return [...facts, `-> ${await files.readLink(path)}`].join(' ');
  if (device) facts.push(`${device.major}:${device.minor}`);
  const xattrs = [...(await files.getXattrs(path))].map(
    ([name, value]) => `${name}=${value.toString('hex')}`,
  );
  return [...facts, ...xattrs.sort()].join(' ');
}

/**
 * The same for a folder of this machine, whose paths are given below `at`, as far as plain files, folders and links go;
 * without extended attributes and numbers of names.
 */
export async function hostDigest(folder: string, at: string): Promise<TreeDigest> {
  const tree: TreeDigest = new Map();
  for (const name of await readdir(folder)) {
    const [path, place] = [join(folder, name), join(at, name)];
    const stat = await lstat(path);
    const owned = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
    if (stat.isFile()) tree.set(place, `${head('file', owned)} ${hash(await readFile(path))}`);
    if (stat.isSymbolicLink()) tree.set(place, `${head('symlink', owned)} -> ${await readlink(path)}`);
    if (!stat.isDirectory()) continue;
    tree.set(place, head('directory', owned));
    for (const [below, line] of await hostDigest(path, place)) tree.set(below, line);
  }
  return tree;
}

/** What {@link hostDigest} would say of what lies below `at` in a whole tree. */
export function plainDigest(tree: TreeDigest, at: string): TreeDigest {
  const below = [...tree].filter(([path]) => path.startsWith(`${at}/`));
  return new Map(below.map(([path, line]) => [path, line.startsWith('symlink') ? line : plain(line)]));
}

function plain(line: string): string {
  return line.replace(/ x\d+/, '').replace(/ [\w.]+=[0-9a-f]*/g, '');
}

function head(type: string, { mode, uid, gid }: { mode: number; uid: number; gid: number }): string {
  return `${type} ${mode.toString(8)} ${uid}:${gid}`;
}

function hash(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex').slice(0, 16);
}
