import { byteComponents, toByteString } from './byte-path.js';
import type { FileAttributes, FileContent, SpecialFile } from './guest.js';
import { existing, findNode } from './read-files.js';
import { assertUnprotected, assertUnprotectedPlace } from './protection.js';
import { type Place, pathError, pathText, resolvePath } from './resolve-path.js';
import { ACCESS_ACL, aclWithMode } from './tree-acl.js';
import { newChild, newNode } from './new-node.js';
import { namesOf } from './tree-names.js';
import { type LoadedNode, type Tree, type TreeNode, linksOf } from './tree.js';

const MAX_TARGET = 4095;
const MAX_DEPTH = 2048;
const HAS_OTHER_NAMES = 'cannot be scrubbed, because the file has other names (hard links)';

/** Attributes that speak about the content they were made for; the kernel drops or voids them at a write too. */
const CONTENT_BOUND = ['security.capability', 'security.ima', 'security.evm'];

/** {@link Guest.writeFile} on a tree. */
export async function writeFile(
  tree: Tree,
  path: string,
  file: { content: FileContent; attributes: FileAttributes },
): Promise<void> {
  const place = await resolvePath(tree, path, 'links');
  const old = place.node;
  if (old && old.type !== 'file')
    throw pathError(tree, path, `a ${old.type}, not a regular file`, 'not-file');
  if (old) return rewriteFile(tree, { path, node: old, near: place.parent }, file);
  assertUnprotectedPlace(tree, path, place);
  const node = await newChild(tree, place, { type: 'file', mode: 0o644, given: file.attributes });
  await setEntry(tree, place, { ...node, content: file.content });
}

/**
 * Gives a file that is there another content, as open(2) with O_TRUNC and write(2) do: all of its names show it. One that is on the disk
 * is replaced at each of them.
 */
async function rewriteFile(
  tree: Tree,
  old: { path: string; node: TreeNode; near: TreeNode },
  file: { content: FileContent; attributes: FileAttributes },
): Promise<void> {
  const { node } = old;
  assertUnprotected(tree, old.path, node);
  const xattrs = new Map(await tree.xattrs(node));
  CONTENT_BOUND.forEach((name) => xattrs.delete(name));
  const { mode } = file.attributes;
  const acl = xattrs.get(ACCESS_ACL);
  if (acl && mode !== undefined) xattrs.set(ACCESS_ACL, aclWithMode(acl, mode));
  const anew = { ...newNode(tree, { ...node, xattrs }, file.attributes), content: file.content };
  if (!isLoaded(node)) {
    Object.assign(node, anew);
    return;
  }
  const places = await namesOf(tree, node, old.near);
  const replacement = { ...anew, replaced: [node.base.id], gained: places.length };
  for (const { folder, name } of places) (await tree.entries(folder)).entries.set(name, replacement);
  node.gained = -node.base.links;
}

/** {@link Guest.mkdir} on a tree. */
export async function makeFolder(
  tree: Tree,
  path: string,
  options: FileAttributes & { parents?: boolean | undefined },
): Promise<void> {
  for (const each of options.parents ? pathsAlong(path) : [path]) {
    const place = await resolvePath(tree, each, 'links');
    if (!place.node) {
      assertUnprotectedPlace(tree, each, place);
      const node = await newChild(tree, place, { type: 'directory', mode: 0o755, given: options });
      await setEntry(tree, place, node);
    } else if (!options.parents) {
      throw pathError(tree, each, 'exists already', 'exists');
    } else if (place.node.type !== 'directory') {
      throw pathError(tree, each, `a ${place.node.type} is there, so no folder can be made`, 'not-folder');
    }
  }
}

/** The paths of all folders on the way to `path`, and itself. */
function pathsAlong(path: string): string[] {
  const components = byteComponents(path);
  return components.map((_, index) => `/${components.slice(0, index + 1).join('/')}`);
}

/** {@link Guest.symlink} on a tree. */
export async function makeSymlink(
  tree: Tree,
  path: string,
  link: { target: string; attributes: Omit<FileAttributes, 'mode'> },
): Promise<void> {
  const bytes = toByteString(link.target);
  if (bytes === '' || bytes.length > MAX_TARGET || bytes.includes('\0')) {
    throw pathError(
      tree,
      path,
      `cannot link to a target of ${bytes.length} bytes or with a NUL`,
      'unsupported',
    );
  }
  const place = await resolvePath(tree, path, 'parents');
  assertReplaceable(tree, path, place);
  const given = { ...link.attributes, mode: undefined };
  const node = await newChild(tree, place, { type: 'symlink', mode: 0o777, given });
  await setEntry(tree, place, { ...node, target: bytes });
}

const MAX_MAJOR = 0xfff;
/** What debugfs can make. */
const MAX_MINOR = 0xffff;

/** {@link Guest.makeNode} on a tree. */
export async function makeNode(
  tree: Tree,
  path: string,
  file: { node: SpecialFile; attributes: FileAttributes },
): Promise<void> {
  const { type } = file.node;
  const place = await resolvePath(tree, path, 'parents');
  assertReplaceable(tree, path, place);
  const node = await newChild(tree, place, { type, mode: 0o644, given: file.attributes });
  if (file.node.type === 'fifo') return setEntry(tree, place, node);
  const { major, minor } = file.node.device;
  const fits = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max;
  if (!fits(major, MAX_MAJOR) || !fits(minor, MAX_MINOR)) {
    throw pathError(tree, path, `a device ${major}:${minor} cannot be made`, 'unsupported');
  }
  return setEntry(tree, place, { ...node, device: { major, minor } });
}

/** {@link Guest.hardLink} on a tree. */
export async function makeHardLink(tree: Tree, from: string, path: string): Promise<void> {
  const node = await findNode(tree, from, 'parents');
  if (node.type === 'directory')
    throw pathError(tree, from, 'a folder cannot have another name', 'is-folder');
  assertUnprotected(tree, from, node);
  const place = await resolvePath(tree, path, 'parents');
  assertReplaceable(tree, path, place);
  await setEntry(tree, place, node);
}

/** {@link Guest.rename} on a tree. A folder is made anew and its content moved, name by name. */
export async function rename(tree: Tree, from: string, to: string): Promise<void> {
  const source = await resolvePath(tree, from, 'parents');
  const node = existing(tree, from, source);
  const place = await resolvePath(tree, to, 'parents');
  if (place.node === node) return;
  assertUnprotectedPlace(tree, from, source);
  assertReplaceable(tree, to, place);
  if (source.path.every((name, index) => place.path[index] === name)) {
    throw pathError(tree, to, `is inside ${from}, which is to be moved there`, 'unsupported');
  }
  await move(tree, { ...source, node }, place);
}

async function move(tree: Tree, from: Place & { node: TreeNode }, to: Place): Promise<void> {
  const { node } = from;
  if (node.type !== 'directory') {
    await setEntry(tree, to, node);
  } else {
    const copy = newNode(tree, { ...node, xattrs: new Map(await tree.xattrs(node)) }, { mtime: node.mtime });
    await setEntry(tree, to, copy);
    for (const name of [...(await tree.entries(node)).entries.keys()]) {
      const child = await tree.child(node, name);
      const inside = { name, path: [...to.path, name] };
      if (child)
        await move(
          tree,
          { ...inside, parent: node, node: child },
          { ...inside, parent: copy, node: undefined },
        );
    }
    copy.mtime = node.mtime;
  }
  await dropEntry(tree, from);
}

/** {@link Guest.remove} on a tree. */
export async function remove(tree: Tree, path: string, recursive: 'recursive' | 'single'): Promise<void> {
  const place = await resolvePath(tree, path, 'parents');
  const node = existing(tree, path, place);
  if (place.name === '') throw pathError(tree, path, 'the root folder cannot be removed', 'unsupported');
  if (node.type === 'directory' && recursive === 'single' && (await tree.entries(node)).entries.size > 0) {
    throw pathError(tree, path, 'the folder is not empty', 'not-empty');
  }
  await removeNode(tree, { ...place, node });
}

async function removeNode(tree: Tree, place: Place & { node: TreeNode }): Promise<void> {
  // A damaged filesystem can have a folder inside itself.
  if (place.path.length > MAX_DEPTH) throw pathError(tree, pathText(place.path), 'too deep', 'unsupported');
  assertUnprotectedPlace(tree, pathText(place.path), place);
  if (place.node.type === 'directory') {
    for (const name of [...(await tree.entries(place.node)).entries.keys()]) {
      const node = await tree.child(place.node, name);
      if (node) await removeNode(tree, { parent: place.node, name, node, path: [...place.path, name] });
    }
  }
  await dropEntry(tree, place);
}

/** {@link Guest.scrub} on a tree. */
export async function scrub(tree: Tree, path: string): Promise<void> {
  const place = await resolvePath(tree, path, 'links');
  const node = existing(tree, path, place);
  if (node.type !== 'file') throw pathError(tree, path, `a ${node.type}, not a regular file`, 'not-file');
  assertUnprotectedPlace(tree, path, place);
  if (!node.base && linksOf(node) > 1) throw pathError(tree, path, HAS_OTHER_NAMES, 'unsupported');
  for (const id of node.replaced ?? []) tree.scrubbed.set(id, { path, role: 'earlier' });
  if (node.base) tree.scrubbed.set(node.base.id, { path, role: 'itself' });
  await dropEntry(tree, { ...place, node });
}

/** Changes mode (as chmod(2) does also in an access control list), owner, time of the file that `path` leads to. */
export async function changeAttributes(
  tree: Tree,
  path: string,
  change: { mode?: number; uid?: number; gid?: number; mtime?: number },
): Promise<void> {
  const node = await findNode(tree, path, 'links');
  assertUnprotected(tree, path, node);
  const acl = change.mode === undefined ? undefined : (await tree.xattrs(node)).get(ACCESS_ACL);
  if (acl && change.mode !== undefined) {
    node.xattrs?.set(ACCESS_ACL, aclWithMode(acl, change.mode));
    node.changedXattrs.add(ACCESS_ACL);
  }
  Object.assign(node, change);
}

/** Sets an extended attribute of what `path` leads to, or removes it when there is no value. */
export async function changeXattr(
  tree: Tree,
  path: string,
  attribute: { name: string; value: Uint8Array | undefined },
): Promise<void> {
  const node = await findNode(tree, path, 'links');
  const xattrs = await tree.xattrs(node);
  if (attribute.value === undefined && !xattrs.has(attribute.name)) return;
  assertUnprotected(tree, path, node);
  if (attribute.value) xattrs.set(attribute.name, Buffer.from(attribute.value));
  else xattrs.delete(attribute.name);
  node.changedXattrs.add(attribute.name);
}

function isLoaded(node: TreeNode): node is LoadedNode {
  return node.base !== undefined;
}

function changeLinks(node: TreeNode, change: number): void {
  node.gained = (node.gained ?? 0) + change;
}

function assertReplaceable(tree: Tree, path: string, place: Place): void {
  if (place.name === '' || place.node?.type === 'directory') {
    throw pathError(tree, path, 'there is a folder of that name', 'is-folder');
  }
  assertUnprotectedPlace(tree, path, place);
}

async function setEntry(tree: Tree, place: Place, node: TreeNode): Promise<void> {
  if (place.node) changeLinks(place.node, -1);
  changeLinks(node, 1);
  (await tree.entries(place.parent)).entries.set(place.name, node);
  place.parent.mtime = tree.now;
}

async function dropEntry(tree: Tree, place: Place & { node: TreeNode }): Promise<void> {
  changeLinks(place.node, -1);
  (await tree.entries(place.parent)).entries.delete(place.name);
  place.parent.mtime = tree.now;
  const { base } = place.node;
  if (base?.type === 'directory' && place.parent.base) {
    place.node.removed = true;
    tree.removedFolders.push({
      parent: place.parent.base.id,
      name: place.name,
      node: { ...place.node, base },
    });
  }
}
