import { resolve } from 'node:path';
import type { FileContent } from '../guest.js';
import {
  type BaseId,
  type LoadedNode,
  type RemovedFolder,
  type Tree,
  type TreeNode,
  entryId,
} from '../tree.js';
import { pathError } from '../resolve-path.js';
import { hereWord, inodeWord, isExpressible, quoteWord, scriptLine } from './debugfs-script.js';
import { setAttributes } from './script-attributes.js';

/** Everything that brings a tree's changes to the disk, and what must be true afterwards. */
export interface CommitPlan {
  /** Lines of a debugfs script, byte strings. Empty when nothing changed. */
  readonly script: string[];
  /** Files that the script expects in its working folder. */
  readonly inputs: Map<string, FileContent>;
  /** Files of this machine that it reads where they are. */
  readonly hostFiles: string[];
  /** What a second run of debugfs does, when there are many new files. */
  readonly second: SecondScript | undefined;
  /** New names by path components, and what they must lead to. */
  readonly added: { path: readonly string[]; node: TreeNode }[];
  /** Files of the base with changed attributes. */
  readonly changed: LoadedNode[];
  /** Names that must be gone from folders of the base. */
  readonly gone: { folder: BaseId; name: string }[];
  /**
   * Files are freed that have a block for attributes. debugfs frees an inode and its data, but leaves that block marked
   * as used (or its count of users too high): `e2fsck -p` has to finish the work.
   */
  leaves: boolean;
  /** A large folder has new names: adding one takes a folder's index away, and `e2fsck -p` makes it anew. */
  unindexed: boolean;
  /** Numbers of freed files whose blocks are to be overwritten; nothing of the script comes to lie on them. */
  readonly scrubbed: BaseId[];
}

/** What is left to do once all new files have their numbers. */
export interface SecondScript {
  /** New files and how many names they have. */
  readonly files: readonly NewFile[];
  /** Lines that come after those about the files. */
  readonly script: readonly string[];
}

/** A new file, by the path of its first name. */
export interface NewFile {
  readonly path: readonly string[];
  readonly node: TreeNode;
  readonly links: number;
}

/**
 * debugfs searches a folder from its beginning for each name that a command mentions, so setting mode, owner and times of
 * many new files by name takes most of the time. With more new names than this, that is left to a second run, by number.
 */
const MANY_NAMES = 64;

/** A folder of this many names has about the three blocks from which on e2fsck makes an index. */
const LARGE_FOLDER = 512;

interface Draft extends CommitPlan {
  readonly tree: Tree;
  /** Names that each file of the base (but folders) loses and gains. */
  readonly linkChange: Map<BaseId, number>;
  /** Where a new file got its first name, and how many it has so far. */
  readonly newNames: Map<TreeNode, { first: readonly string[]; count: number }>;
  /** How many names there are to be made. */
  toMake: number;
}

/** Whether attributes of new files are left to a second run. */
const hasSecond = (draft: Draft): boolean => draft.toMake > MANY_NAMES;

/**
 * Turns the changes of `tree` into one debugfs script: names are removed first, then unused files freed, then new ones
 * made, then attributes set, and files to be scrubbed freed last, so that nothing new gets their blocks. Existing files are
 * addressed by inode number, so only new names (and paths of this machine) are ever quoted. Of many new files, the attributes are set by a second script.
 *
 * @throws TSB_GUEST when a name cannot be expressed in a script, or a file to be scrubbed has other names
 */
export async function planCommit(tree: Tree): Promise<CommitPlan> {
  const lists = {
    script: [],
    inputs: new Map(),
    hostFiles: [],
    added: [],
    changed: [],
    gone: [],
    leaves: false,
    unindexed: false,
    scrubbed: [],
    second: undefined,
  };
  const draft: Draft = { ...lists, tree, linkChange: new Map(), newNames: new Map(), toMake: 0 };
  const folders = [...tree.loaded()].filter((node) => node.folder !== undefined);
  folders.forEach((folder) => unlinkNames(draft, folder));
  for (const { parent, name, node } of tree.removedFolders) removeFolder(draft, { parent, name, node });
  for (const folder of folders) countNames(draft, folder);
  const files = [...tree.loaded()].filter((node) => !node.removed);
  const [freed, kept] = partition(files, (node) => linksAfter(draft, node) === 0);
  const [scrubbed, plainlyFreed] = partition(freed, (node) => tree.scrubbed.has(node.base.id));
  kept.forEach((node) => assertNotScrubbed(tree, node));
  plainlyFreed.forEach((node) => freeFile(draft, node));
  await addNames(draft, await tree.root(), []);
  kept.forEach((node) => changeFile(draft, node));
  draft.scrubbed.push(...scrubbed.map((node) => node.base.id));
  if (hasSecond(draft)) return { ...draft, second: secondScript(draft, scrubbed) };
  scrubbed.forEach((node) => freeFile(draft, node));
  return draft;
}

function secondScript(draft: Draft, scrubbed: readonly LoadedNode[]): SecondScript {
  const script = scrubbed.flatMap((node) => freeingLines(draft, node));
  const files = [...draft.newNames].map(([node, { first, count }]) => ({ path: first, node, links: count }));
  return { files, script };
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}

function assertNotScrubbed(tree: Tree, node: LoadedNode): void {
  const scrubbed = tree.scrubbed.get(node.base.id);
  if (scrubbed?.role !== 'itself') return;
  throw pathError(
    tree,
    scrubbed.path,
    'cannot be scrubbed, because the file has other names (hard links)',
    'unsupported',
  );
}

/** Drops names of files that are gone or replaced. */
function unlinkNames(draft: Draft, folder: LoadedNode): void {
  const { before, entries } = folder.folder ?? noFolder;
  const lines: string[] = [];
  for (const [name, id] of before) {
    if (entryId(entries.get(name)) === id || draft.tree.loadedNode(id)?.type === 'directory') continue;
    lines.push(scriptLine('unlink', hereWord(name)));
    addTo(draft.linkChange, id, -1);
    if (!entries.has(name) && !folder.removed) draft.gone.push({ folder: folder.base.id, name });
  }
  if (lines.length > 0) draft.script.push(scriptLine('cd', inodeWord(folder.base.id)), ...lines);
}

const noFolder: NonNullable<TreeNode['folder']> = { before: new Map(), entries: new Map() };

function removeFolder(draft: Draft, { parent, name, node }: RemovedFolder): void {
  draft.leaves ||= node.base.outerAttributes;
  draft.script.push(scriptLine('cd', inodeWord(parent)), scriptLine('rmdir', hereWord(name)));
  const folder = draft.tree.loadedNode(parent);
  if (!folder?.removed && !folder?.folder?.entries.has(name)) draft.gone.push({ folder: parent, name });
}

/** Counts the new names of files of the base, also those inside new folders. */
function countNames(draft: Draft, top: TreeNode): void {
  const todo = [top];
  for (let folder = todo.pop(); folder !== undefined; folder = todo.pop()) {
    const { before, entries } = folder.folder ?? noFolder;
    for (const [name, entry] of entries) {
      if (typeof entry === 'number') continue;
      if (entry.base && before.get(name) === entry.base.id) continue;
      draft.toMake += 1;
      if (entry.base) addTo(draft.linkChange, entry.base.id, 1);
      else todo.push(entry);
    }
  }
}

function addTo(counts: Map<BaseId, number>, id: BaseId, change: number): void {
  counts.set(id, (counts.get(id) ?? 0) + change);
}

function linksAfter(draft: Draft, node: LoadedNode): number {
  return node.base.links + (draft.linkChange.get(node.base.id) ?? 0);
}

function freeFile(draft: Draft, node: LoadedNode): void {
  draft.script.push(...freeingLines(draft, node));
}

function freeingLines(draft: Draft, node: LoadedNode): string[] {
  draft.leaves ||= node.base.outerAttributes;
  const word = inodeWord(node.base.id);
  return [scriptLine('sif', word, 'links_count', 0), scriptLine('kill_file', word)];
}

/**
 * Makes the new names of a folder whose place is `path`, and of the folders below it. Asynchronous, because a tree can be deeper than
 * the stack.
 */
async function addNames(draft: Draft, folder: TreeNode, path: readonly string[]): Promise<void> {
  await Promise.resolve();
  const { before, entries } = folder.folder ?? noFolder;
  const kept: [string, TreeNode][] = [];
  const added: [string, TreeNode][] = [];
  for (const [name, entry] of entries) {
    const node = typeof entry === 'number' ? draft.tree.loadedNode(entry) : entry;
    if (!node) continue;
    const isKept = node.base !== undefined && before.get(name) === node.base.id;
    (isKept ? kept : added).push([name, node]);
  }
  if (added.length > 0 && folder.base) draft.script.push(scriptLine('cd', inodeWord(folder.base.id)));
  draft.unindexed ||= added.length > 0 && entries.size >= LARGE_FOLDER;
  for (const [name, node] of added) await addName(draft, node, [...path, name]);
  for (const [name, node] of kept) if (node.folder) await addNames(draft, node, [...path, name]);
}

/** Makes one name in debugfs' current folder. */
async function addName(draft: Draft, node: TreeNode, path: readonly string[]): Promise<void> {
  const name = path.at(-1) ?? '';
  const names = draft.newNames.get(node);
  draft.added.push({ path, node });
  if (node.base) {
    linkName(draft, inodeWord(node.base.id), name);
  } else if (names) {
    names.count += 1;
    linkName(draft, quoteWord(`/${names.first.join('/')}`), name);
    if (!hasSecond(draft)) draft.script.push(scriptLine('sif', hereWord(name), 'links_count', names.count));
  } else {
    draft.newNames.set(node, { first: path, count: 1 });
    await createFile(draft, node, path);
  }
}

/**
 * Gives a file another name in the current folder. debugfs' `ln` fails where a full folder would have to grow;
 * `symlink` lets it grow, so one is made and removed first: the place of its name is free then.
 */
function linkName(draft: Draft, file: string, name: string): void {
  const here = hereWord(name);
  draft.script.push(
    scriptLine('symlink', quoteWord(name), 'x'),
    scriptLine('sif', here, 'links_count', 0),
    scriptLine('kill_file', here),
    scriptLine('unlink', here),
    scriptLine('ln', file, quoteWord(name)),
  );
}

async function createFile(draft: Draft, node: TreeNode, path: readonly string[]): Promise<void> {
  const name = quoteWord(path.at(-1) ?? '');
  if (node.type === 'symlink') {
    draft.script.push(scriptLine('symlink', name, quoteWord(node.target ?? '')));
  } else if (node.type === 'directory') {
    draft.script.push(scriptLine('mkdir', name), scriptLine('cd', hereWord(path.at(-1) ?? '')));
    await addNames(draft, node, path);
    draft.script.push(scriptLine('cd', '..'));
  } else if (node.type === 'file') {
    draft.script.push(scriptLine('write', contentWord(draft, node.content ?? ''), name));
  } else {
    const { major, minor } = node.device ?? { major: 0, minor: 0 };
    const kind = node.type === 'fifo' ? ['p'] : [node.type === 'block' ? 'b' : 'c', major, minor];
    draft.script.push(scriptLine('mknod', name, ...kind));
  }
  if (!hasSecond(draft))
    setAttributes(draft, node, { word: hereWord(path.at(-1) ?? ''), now: draft.tree.now });
}

/** The word for a new file's content: a file of this machine by its path, what is in memory by a file in the working folder. */
function contentWord(draft: Draft, content: FileContent): string {
  if (typeof content === 'object' && 'hostFile' in content) {
    const path = Buffer.from(resolve(content.hostFile)).toString('latin1');
    if (isExpressible(path)) {
      draft.hostFiles.push(content.hostFile);
      return quoteWord(path);
    }
  }
  const input = `content${draft.inputs.size}`;
  draft.inputs.set(input, content);
  return input;
}

function changeFile(draft: Draft, node: LoadedNode): void {
  const { base } = node;
  const word = inodeWord(base.id);
  const links = linksAfter(draft, node);
  if (links !== base.links) draft.script.push(scriptLine('sif', word, 'links_count', links));
  const same = node.mode === base.mode && node.uid === base.uid && node.gid === base.gid;
  if (same && node.mtime === base.mtime && node.changedXattrs.size === 0) return;
  setAttributes(draft, node, { word, now: draft.tree.now });
  draft.changed.push(node);
}
