import type { DeviceNumber, FileContent, FileType } from './guest.js';

/** How a filesystem names its files internally: the inode number. */
export type BaseId = number;

/** A file as it stands on the disk. */
export interface BaseFile {
  readonly id: BaseId;
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly links: number;
  /** It has extended attributes outside its inode, which are not freed with it. */
  readonly outerAttributes: boolean;
  /** Of device files. */
  readonly device?: DeviceNumber | undefined;
  /** What chattr(1) has forbidden for it. */
  readonly protection?: 'immutable' | 'append-only' | undefined;
}

/** The unchanged filesystem below a {@link Tree}. Names and targets are byte strings. */
export interface BaseFilesystem {
  readonly name: string;
  readonly rootId: BaseId;
  file(id: BaseId): Promise<BaseFile>;
  entries(id: BaseId): Promise<ReadonlyMap<string, BaseId>>;
  content(id: BaseId, range: { offset: number; length: number }): Promise<Buffer>;
  target(id: BaseId): Promise<string>;
  xattrs(id: BaseId): Promise<Map<string, Buffer>>;
}

/** A file with its pending changes: over one of the base filesystem, or new. */
export interface TreeNode {
  readonly base?: BaseFile;
  readonly type: FileType;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  /** New regular files, and those written anew. */
  readonly content?: FileContent;
  /** New symbolic links. */
  readonly target?: string;
  /** New regular files: the files of the base that they came in the place of, one after the other. */
  readonly replaced?: readonly BaseId[];
  /** New device files. */
  readonly device?: DeviceNumber;
  /** Folders, once looked into. */
  folder?: Folder;
  /** Extended attributes, once looked at. */
  xattrs?: Map<string, Buffer>;
  /** Names of the attributes that differ from the base, set or removed. */
  readonly changedXattrs: Set<string>;
  /** A folder that has been removed. */
  removed?: boolean;
  /** How many names it has gained, or (negative) lost. */
  gained?: number;
}

export interface Folder {
  readonly before: ReadonlyMap<string, BaseId>;
  readonly entries: Map<string, TreeNode | BaseId>;
}

/** A folder of the base that is no more, and where it was. */
export interface RemovedFolder {
  readonly parent: BaseId;
  readonly name: string;
  readonly node: LoadedNode;
}

/** Why a file of the base is to be scrubbed. */
export interface ScrubbedFile {
  /** The path that was asked for. */
  readonly path: string;
  /** `itself`: it must have no other name; `earlier`: it had this place before, and may live on elsewhere. */
  readonly role: 'itself' | 'earlier';
}

/** A file of the base with its changes. */
export type LoadedNode = TreeNode & { readonly base: BaseFile };

/**
 * A filesystem with changes kept in memory. Files of the base are loaded when they are first touched, once each, so all
 * names of a file show the same node. Not safe for concurrent calls.
 */
export interface Tree {
  readonly base: BaseFilesystem;
  /** Seconds since 1970: the time of last modification of what is changed now. */
  readonly now: number;
  root(): Promise<LoadedNode>;
  /** Every file of the base that was touched, with its changes. */
  loaded(): Iterable<LoadedNode>;
  /** The file of the base with this number, if it was touched. */
  loadedNode(id: BaseId): LoadedNode | undefined;
  /** The file of the base with this number. */
  node(id: BaseId): Promise<LoadedNode>;
  /** What tells a file from all others of this tree: its number in the base, or for a new one a number that no base uses. */
  numberOf(node: TreeNode): number;
  /** Base folders that were removed, children before their parents. */
  readonly removedFolders: RemovedFolder[];
  /** Files of the base of whose content nothing may remain. */
  readonly scrubbed: Map<BaseId, ScrubbedFile>;
  child(folder: TreeNode, name: string): Promise<TreeNode | undefined>;
  /** The same where the disk need not be read for it, else `unread`: a deep path is walked many times, and waiting takes longer than looking. */
  childInMemory(folder: TreeNode, name: string): TreeNode | undefined | 'unread';
  entries(folder: TreeNode): Promise<Folder>;
  xattrs(node: TreeNode): Promise<Map<string, Buffer>>;
  target(node: TreeNode): Promise<string>;
}

/** Larger than the number of any file on a disk. */
const FIRST_NEW_NUMBER = 2 ** 48;

/** A tree without changes over `base`; see {@link Tree} for `now`. */
export function openTree(base: BaseFilesystem, now: number): Tree {
  const nodes = new Map<BaseId, LoadedNode>();
  const load = async (id: BaseId): Promise<LoadedNode> => {
    const known = nodes.get(id);
    if (known) return known;
    const node = baseNode(await base.file(id));
    nodes.set(id, node);
    return node;
  };
  const numbers = new WeakMap<TreeNode, number>();
  let nextNumber = FIRST_NEW_NUMBER;
  const tree: Tree = {
    base,
    now,
    root: () => load(base.rootId),
    loaded: () => nodes.values(),
    loadedNode: (id) => nodes.get(id),
    node: load,
    numberOf(node) {
      const number = node.base?.id ?? numbers.get(node) ?? nextNumber++;
      numbers.set(node, number);
      return number;
    },
    removedFolders: [],
    scrubbed: new Map(),
    async child(folder, name) {
      const entry = (await tree.entries(folder)).entries.get(name);
      return typeof entry === 'number' ? load(entry) : entry;
    },
    childInMemory(folder, name) {
      if (!folder.folder) return 'unread';
      const entry = folder.folder.entries.get(name);
      return typeof entry === 'number' ? (nodes.get(entry) ?? 'unread') : entry;
    },
    async entries(folder) {
      folder.folder ??= folderOf(folder.base ? await base.entries(folder.base.id) : new Map());
      return folder.folder;
    },
    async xattrs(node) {
      node.xattrs ??= node.base ? await base.xattrs(node.base.id) : new Map<string, Buffer>();
      return node.xattrs;
    },
    target: async (node) => node.target ?? (node.base ? await base.target(node.base.id) : ''),
  };
  return tree;
}

function folderOf(before: ReadonlyMap<string, BaseId>): Folder {
  return { before, entries: new Map<string, TreeNode | BaseId>(before) };
}

function baseNode(base: BaseFile): LoadedNode {
  const { type, mode, uid, gid, mtime } = base;
  return { base, type, mode, uid, gid, mtime, changedXattrs: new Set() };
}

/** The base file that a folder's entry stands for, or undefined for a new file. */
export function entryId(entry: TreeNode | BaseId | undefined): BaseId | undefined {
  return typeof entry === 'object' ? entry.base?.id : entry;
}

/** How many names a file has, with all pending changes. */
export function linksOf(node: TreeNode): number {
  return Math.max(1, (node.base?.links ?? 0) + (node.gained ?? 0));
}
