import { fromByteString } from '../byte-path.js';
import type { GuestFiles } from '../guest.js';
import type { SelinuxState } from '../inspect.js';
import { isMissing } from '../read-files.js';
import type { Tree, TreeNode } from '../tree.js';
import { type FileContexts, parseFileContexts } from './file-contexts.js';

const LABEL = 'security.selinux';
const AUTORELABEL = '.autorelabel';
const MAX_BYTES = 16 * 1024 * 1024;

interface NewNode {
  readonly path: string;
  readonly node: TreeNode;
  readonly parent: TreeNode;
}

/** What decides about labels. */
export interface LabelRules {
  /** The guest, for its file_contexts. */
  readonly files: GuestFiles;
  readonly state: SelinuxState;
  /** Where the tree is mounted. Default: it is the root. */
  readonly point?: string | undefined;
}

/**
 * Gives every new file of a root filesystem without an SELinux label one: that of the guest's own file_contexts, else that
 * of the folder it is in. Where neither says anything, `/.autorelabel` is made, and the guest labels itself at its first boot.
 */
export async function labelNewFiles(tree: Tree, files: GuestFiles, state: SelinuxState): Promise<void> {
  if (!(await labelFilesAt(tree, { files, state }))) await requestRelabel(tree);
}

/**
 * As {@link labelNewFiles}, for a filesystem that may be mounted somewhere; makes no `/.autorelabel`.
 *
 * @returns whether all new files have a label now
 */
export async function labelFilesAt(tree: Tree, rules: LabelRules): Promise<boolean> {
  const added = [...newNodes(tree, { node: await tree.root(), path: rules.point ?? '' })];
  if (added.length === 0) return true;
  const contexts = await readFileContexts(rules.files, rules.state);
  let complete = true;
  for (const { path, node, parent } of added) {
    if (node.xattrs?.has(LABEL)) continue;
    const label = await chooseLabel(tree, contexts, { path, node, parent });
    if (label) setLabel(node, label);
    else complete = false;
  }
  return complete;
}

/** Files that are not of the base, folders before what is in them. */
function* newNodes(tree: Tree, from: { node: TreeNode; path: string }): Generator<NewNode> {
  for (const [name, entry] of from.node.folder?.entries ?? []) {
    const node = typeof entry === 'number' ? tree.loadedNode(entry) : entry;
    if (!node) continue;
    const path = `${from.path}/${fromByteString(name) ?? name}`;
    if (!node.base) yield { path, node, parent: from.node };
    if (node.type === 'directory') yield* newNodes(tree, { node, path });
  }
}

async function chooseLabel(tree: Tree, contexts: FileContexts, file: NewNode): Promise<Buffer | undefined> {
  const context = contexts.lookup(file.path, file.node.type);
  if (context !== undefined) return Buffer.from(`${context}\0`);
  return (await tree.xattrs(file.parent)).get(LABEL);
}

function setLabel(node: TreeNode, label: Buffer): void {
  node.xattrs ??= new Map();
  node.xattrs.set(LABEL, label);
  node.changedXattrs.add(LABEL);
}

async function requestRelabel(tree: Tree): Promise<void> {
  const { entries } = await tree.entries(await tree.root());
  if (entries.has(AUTORELABEL)) return;
  const node: TreeNode = {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: tree.now,
    content: '',
    changedXattrs: new Set(),
  };
  entries.set(AUTORELABEL, node);
}

async function readFileContexts(files: GuestFiles, state: SelinuxState): Promise<FileContexts> {
  const base = `/etc/selinux/${state.policy}/contexts/files/file_contexts`;
  const texts = async (...suffixes: string[]): Promise<string[]> => {
    const found: string[] = [];
    for (const suffix of suffixes) found.push(await textOrNothing(files, `${base}${suffix}`));
    return found;
  };
  return parseFileContexts({
    contexts: await texts('', '.homedirs', '.local'),
    substitutions: await texts('.subs', '.subs_dist'),
  });
}

async function textOrNothing(files: GuestFiles, path: string): Promise<string> {
  try {
    if ((await files.stat(path)).type !== 'file') return '';
    return (await files.readFile(path, { maxBytes: MAX_BYTES })).toString('utf8');
  } catch (error) {
    // Too large a file is as good as none: labels then come from the folders.
    if (isMissing(error) || (error instanceof Error && /can be read at once/.test(error.message))) return '';
    throw error;
  }
}
