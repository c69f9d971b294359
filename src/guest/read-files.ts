import { open } from 'node:fs/promises';
import { fromByteString } from './byte-path.js';
import type { FileContent, FileStat, GuestEntry, GuestFiles } from './guest.js';
import { type Place, pathError, pathText, resolvePath } from './resolve-path.js';
import { type Folder, type Tree, type TreeNode, linksOf } from './tree.js';

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

/**
 * The reading half of a guest over whatever tree `current()` is now. Calls may overlap; `serially` makes them run one
 * after the other, as the tree needs it.
 */
export function guestFiles(
  current: () => Tree,
  serially: <T>(job: () => Promise<T>) => Promise<T>,
): GuestFiles {
  const find = (path: string, follow: 'links' | 'parents' = 'links'): Promise<TreeNode> =>
    findNode(current(), path, follow);
  return {
    get name() {
      return current().base.name;
    },
    exists: (path) => serially(() => pathExists(current(), path)),
    stat: (path) => serially(async () => statOf(await find(path), current())),
    lstat: (path) => serially(async () => statOf(await find(path, 'parents'), current())),
    readFile: (path, options) =>
      serially(() => readWhole(current(), path, options?.maxBytes ?? DEFAULT_MAX_BYTES)),
    readHead: (path, length) =>
      serially(async () => contentOf(current(), await findFile(current(), path), { offset: 0, length })),
    readRange: (path, offset, length) =>
      serially(async () => contentOf(current(), await findFile(current(), path), { offset, length })),
    readLink: (path) => serially(() => readTarget(current(), path)),
    realPath: (path) => serially(async () => pathText((await resolvePath(current(), path, 'links')).path)),
    list: (path) => serially(() => listNames(current(), path)),
    entries: (path, options) =>
      serially(() => listEntries(current(), path, options?.details ? 'details' : 'names')),
    getXattrs: (path, options) =>
      serially(async () => new Map(await current().xattrs(await find(path, options?.follow)))),
  };
}

/** The node that `path` leads to; TSB_GUEST when there is none. */
export async function findNode(tree: Tree, path: string, follow: 'links' | 'parents'): Promise<TreeNode> {
  return existing(tree, path, await resolvePath(tree, path, follow));
}

/** The node of a place; TSB_GUEST when nothing is there. */
export function existing(tree: Tree, path: string, place: Place): TreeNode {
  if (place.node) return place.node;
  throw pathError(tree, path, 'no such file or folder', 'not-found');
}

async function findFile(tree: Tree, path: string): Promise<TreeNode> {
  const node = await findNode(tree, path, 'links');
  if (node.type !== 'file') throw pathError(tree, path, `a ${node.type}, not a regular file`, 'not-file');
  return node;
}

async function pathExists(tree: Tree, path: string): Promise<boolean> {
  try {
    return (await resolvePath(tree, path, 'links')).node !== undefined;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Whether an error of a guest says that a path leads nowhere. */
export function isMissing(error: unknown): boolean {
  const details = error instanceof Error && 'details' in error ? (error.details as { reason?: unknown }) : {};
  return details.reason === 'not-found' || details.reason === 'not-folder' || details.reason === 'loop';
}

async function readWhole(tree: Tree, path: string, maxBytes: number): Promise<Buffer> {
  const node = await findFile(tree, path);
  const size = await sizeOf(node, tree);
  if (size > maxBytes) {
    throw pathError(
      tree,
      path,
      `${size} bytes, more than the ${maxBytes} that can be read at once`,
      'too-large',
    );
  }
  return contentOf(tree, node, { offset: 0, length: size });
}

async function readTarget(tree: Tree, path: string): Promise<string> {
  const node = await findNode(tree, path, 'parents');
  if (node.type !== 'symlink') throw pathError(tree, path, 'not a symbolic link', 'not-file');
  return Buffer.from(await tree.target(node), 'latin1').toString('utf8');
}

async function namesIn(tree: Tree, path: string): Promise<Folder['entries']> {
  const node = await findNode(tree, path, 'links');
  if (node.type !== 'directory') throw pathError(tree, path, 'not a folder', 'not-folder');
  return (await tree.entries(node)).entries;
}

async function listNames(tree: Tree, path: string): Promise<string[]> {
  const names = [...(await namesIn(tree, path)).keys()].map(fromByteString);
  return names.filter((name) => name !== undefined).sort();
}

async function listEntries(tree: Tree, path: string, want: 'names' | 'details'): Promise<GuestEntry[]> {
  const folder = await findNode(tree, path, 'links');
  const entries: GuestEntry[] = [];
  for (const rawName of [...(await namesIn(tree, path)).keys()].sort()) {
    const name = fromByteString(rawName);
    const node = want === 'details' ? await tree.child(folder, rawName) : undefined;
    if (!node) entries.push({ name, rawName });
    else {
      const rawTarget = node.type === 'symlink' ? await tree.target(node) : undefined;
      entries.push({ name, rawName, stat: await statOf(node, tree), rawTarget });
    }
  }
  return entries;
}

async function statOf(node: TreeNode, tree: Tree): Promise<FileStat> {
  const { type, mode, uid, gid, mtime } = node;
  return {
    type,
    mode,
    uid,
    gid,
    mtime,
    size: await sizeOf(node, tree),
    links: node.type === 'directory' ? (node.base?.links ?? 2) : linksOf(node),
    id: tree.numberOf(node),
    device: node.device ?? node.base?.device,
  };
}

async function sizeOf(node: TreeNode, tree: Tree): Promise<number> {
  if (node.content !== undefined) return contentSize(node.content);
  if (node.type === 'symlink') return (await tree.target(node)).length;
  return node.base?.size ?? 0;
}

/** How many bytes pending content has. */
export async function contentSize(content: FileContent): Promise<number> {
  if (typeof content === 'string') return Buffer.byteLength(content);
  if (content instanceof Uint8Array) return content.length;
  await using file = await open(content.hostFile, 'r');
  return (await file.stat()).size;
}

interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A range of a file, pending or on the disk, cut where the file ends. */
async function contentOf(tree: Tree, node: TreeNode, range: ByteRange): Promise<Buffer> {
  const { content, base } = node;
  const { offset, length } = range;
  if (content === undefined) return base ? tree.base.content(base.id, range) : Buffer.alloc(0);
  if (typeof content === 'string') return Buffer.from(content).subarray(offset, offset + length);
  if (content instanceof Uint8Array) return Buffer.from(content.subarray(offset, offset + length));
  await using file = await open(content.hostFile, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
