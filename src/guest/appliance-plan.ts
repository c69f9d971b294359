import type { ApplianceBase } from './appliance-base.js';
import type { TarEntry } from './appliance-tar.js';
import { pathError, pathText } from './resolve-path.js';
import { type BaseId, type LoadedNode, type Tree, type TreeNode, entryId } from './tree.js';

/** A guestfish command: its name and byte strings. */
export type ApplianceCommand = readonly [string, ...string[]];

/** What brings a tree's changes to the filesystems of an appliance. */
export interface ApplianceCommit {
  /** Whether there is anything to do. */
  readonly changes: boolean;
  /** Removes what is gone or replaced; keeps in a folder of its own what gets another name. */
  readonly before: readonly ApplianceCommand[];
  /** What is new, folders before what is in them. */
  readonly entries: readonly TarEntry[];
  /** Gives kept files their new names, and files and folders their attributes. */
  readonly after: readonly ApplianceCommand[];
}

interface Draft {
  readonly tree: Tree;
  readonly base: ApplianceBase;
  readonly before: ApplianceCommand[];
  readonly entries: TarEntry[];
  readonly renames: { id: BaseId; to: string }[];
  readonly attributes: ApplianceCommand[];
  /** Names that files of the base lose and gain. */
  readonly links: Map<BaseId, number>;
  /** Where each file of the base is afterwards. */
  readonly places: Map<BaseId, string>;
  /** The first path of each new file. */
  readonly made: Map<TreeNode, string>;
}

/** In the guest's root folder, while a commit runs. */
const KEEP = '/.tsbuilder-kept';

/** @throws TSB_GUEST when a change cannot be expressed, or a file to be scrubbed has other names */
export async function planApplianceCommit(tree: Tree, base: ApplianceBase): Promise<ApplianceCommit> {
  const draft: Draft = {
    tree,
    base,
    before: [],
    entries: [],
    renames: [],
    attributes: [],
    links: new Map(),
    places: new Map(),
    made: new Map(),
  };
  const root = await tree.root();
  visitFolder(draft, root, '');
  for (const folder of tree.loaded()) removeNames(draft, folder);
  for (const { parent, name } of tree.removedFolders) {
    draft.before.push(['rmdir', `${pathIn(base, parent)}/${name}`]);
  }
  for (const node of tree.loaded()) changeFile(draft, node);
  const kept = keptFiles(draft);
  const before = [...kept.before, ...draft.before];
  const after = [...kept.after, ...draft.attributes];
  return {
    changes: before.length + draft.entries.length + after.length > 0,
    before,
    entries: draft.entries,
    after,
  };
}

const pathIn = (base: ApplianceBase, id: BaseId): string => (id === base.rootId ? '' : base.pathOf(id));

/** Finds the new names in a folder and in those below it. */
function visitFolder(draft: Draft, folder: TreeNode, path: string): void {
  if (folder.base) draft.places.set(folder.base.id, path === '' ? '/' : path);
  for (const [name, entry] of folder.folder?.entries ?? []) {
    const node = typeof entry === 'number' ? draft.tree.loadedNode(entry) : entry;
    const place = `${path}/${name}`;
    if (!node) continue;
    if (!node.base) addEntry(draft, node, place);
    else if (folder.folder?.before.get(name) === node.base.id) draft.places.set(node.base.id, place);
    else {
      draft.renames.push({ id: node.base.id, to: place });
      draft.places.set(node.base.id, place);
      count(draft.links, node.base.id, 1);
    }
    if (node.type === 'directory') visitFolder(draft, node, place);
  }
}

function count(links: Map<BaseId, number>, id: BaseId, change: number): void {
  links.set(id, (links.get(id) ?? 0) + change);
}

function addEntry(draft: Draft, node: TreeNode, place: string): void {
  const { mode, uid, gid, mtime, device, content, xattrs } = node;
  const first = draft.made.get(node);
  draft.made.set(node, first ?? place);
  if (node.type === 'socket') throw unsupported(draft.tree, place, 'a socket cannot be made');
  const path = place.slice(1);
  const common = { path, mode, uid, gid, mtime };
  if (first !== undefined) draft.entries.push({ ...common, type: 'hardLink', target: first.slice(1) });
  else draft.entries.push({ ...common, type: node.type, device, content, xattrs, target: node.target });
}

function removeNames(draft: Draft, folder: LoadedNode): void {
  if (!folder.folder) return;
  const { before, entries } = folder.folder;
  const path = pathIn(draft.base, folder.base.id);
  for (const [name, id] of before) {
    if (entryId(entries.get(name)) === id || draft.tree.loadedNode(id)?.type === 'directory') continue;
    count(draft.links, id, -1);
    const scrubbed = draft.tree.scrubbed.has(id);
    draft.before.push([scrubbed ? 'scrub-file' : 'rm-f', `${path}/${name}`]);
  }
}

/** What a file of the base is to be like afterwards. */
function changeFile(draft: Draft, node: LoadedNode): void {
  const { base, mode, uid, gid, mtime } = node;
  const place = draft.places.get(base.id);
  const remaining = base.links + (draft.links.get(base.id) ?? 0);
  const scrubbed = draft.tree.scrubbed.get(base.id);
  if (scrubbed?.role === 'itself' && remaining > 0) {
    throw pathError(
      draft.tree,
      scrubbed.path,
      'cannot be scrubbed, because the file has other names (hard links)',
      'unsupported',
    );
  }
  if (place === undefined || node.removed || (remaining === 0 && node.type !== 'directory')) return;
  const owner = uid !== base.uid || gid !== base.gid;
  if (owner) draft.attributes.push(['lchown', String(uid), String(gid), place]);
  // A change of owner takes the set-uid and set-gid bits away.
  if (mode !== base.mode || (owner && node.type !== 'symlink')) {
    draft.attributes.push(['chmod', `0${mode.toString(8)}`, place]);
  }
  for (const name of node.changedXattrs) draft.attributes.push(xattrCommand(draft, { node, name, place }));
  const touched = mtime !== base.mtime && node.type !== 'symlink';
  // -2: the time of last access stays as it is.
  if (touched) draft.attributes.push(['utimens', place, '0', '-2', String(mtime), '0']);
}

function xattrCommand(
  draft: Draft,
  { node, name, place }: { node: TreeNode; name: string; place: string },
): ApplianceCommand {
  const value = node.xattrs?.get(name);
  if (!value) return ['lremovexattr', name, place];
  // The kernel takes labels with and without the NUL at their end.
  const text = value.toString('latin1').replace(name === 'security.selinux' ? /\0$/ : /$^/, '');
  if (text.includes('\0')) {
    throw unsupported(draft.tree, place, `the attribute ${name} has a NUL byte, which libguestfs cannot set`);
  }
  return ['lsetxattr', name, text, String(text.length), place];
}

function unsupported(tree: Tree, place: string, problem: string): Error {
  return pathError(tree, pathText(place.slice(1).split('/')), problem, 'unsupported');
}

/**
 * Files of the base that get other names wait in a folder of their own until the folders for these are there: as links where
 * all is on one filesystem, else as copies.
 */
function keptFiles({ base, renames, places }: Draft): Pick<ApplianceCommit, 'before' | 'after'> {
  if (renames.length === 0) return { before: [], after: [] };
  const folders = new Map([...places].map(([id, path]) => [path, id]));
  const put = (from: string, to: string, how: 'ln' | 'cp-a'): ApplianceCommand => [how, from, to];
  const kept = new Set(renames.map(({ id }) => id));
  return {
    before: [
      ['mkdir-mode', KEEP, '0700'],
      ...[...kept].map((id) => put(base.pathOf(id), `${KEEP}/${id}`, base.inRoot(id) ? 'ln' : 'cp-a')),
    ],
    after: [
      ...renames.map(({ id, to }) => {
        const links = base.inRoot(id) && base.inRoot(nearestFolder(folders, to) ?? base.rootId);
        return put(`${KEEP}/${id}`, to, links ? 'ln' : 'cp-a');
      }),
      ['rm-rf', KEEP],
    ],
  };
}

/** The folder of the base that is, or is nearest above, the one of `path`. */
function nearestFolder(folders: ReadonlyMap<string, BaseId>, path: string): BaseId | undefined {
  const parent = path.slice(0, path.lastIndexOf('/'));
  return parent === '' ? undefined : (folders.get(parent) ?? nearestFolder(folders, parent));
}
