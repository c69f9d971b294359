import { TsbuilderError } from '../errors.js';
import { byteComponents, fromByteString, splitPath } from './byte-path.js';
import type { Tree, TreeNode } from './tree.js';

/** Where a path leads. */
export interface Place {
  /** The folder that has, or would have, the last component; the root is in itself. */
  readonly parent: TreeNode;
  /** Byte string; empty for the root. */
  readonly name: string;
  readonly node: TreeNode | undefined;
  /** Components of the path without links, byte strings. */
  readonly path: readonly string[];
}

/** The limit of the Linux kernel. */
const MAX_LINKS = 40;

interface Step {
  readonly name: string;
  readonly node: TreeNode;
}

/**
 * Walks `path` from the guest's root. A link's absolute target starts again at the guest's root, and `..` in the root
 * stays there, so nothing outside the guest can be reached.
 *
 * @param follow whether a link in the last component is followed too (those before it always are)
 * @throws TSB_GUEST when a parent is missing or no folder, or there are too many links
 */
export async function resolvePath(tree: Tree, path: string, follow: 'links' | 'parents'): Promise<Place> {
  const root: Step = { name: '', node: await tree.root() };
  let trail: Step[] = [root];
  const todo = splitPath(path).reverse();
  for (let links = 0; ;) {
    const name = todo.pop();
    const here = (trail.at(-1) ?? root).node;
    if (name === undefined) return arrived(trail, root);
    if (here.type !== 'directory')
      throw pathError(tree, path, `${textOf(trail)} is not a folder`, 'not-folder');
    if (name === '..') {
      if (trail.length > 1) trail.pop();
      continue;
    }
    const known = tree.childInMemory(here, name);
    const node = known === 'unread' ? await tree.child(here, name) : known;
    if (node?.type === 'symlink' && (todo.length > 0 || follow === 'links')) {
      links += 1;
      if (links > MAX_LINKS) throw pathError(tree, path, 'too many symbolic links', 'loop');
      const target = await tree.target(node);
      if (target.startsWith('/')) trail = [root];
      todo.push(...byteComponents(target).reverse());
    } else if (node) {
      trail.push({ name, node });
    } else if (todo.length === 0) {
      return { parent: here, name, node: undefined, path: [...namesOf(trail), name] };
    } else {
      throw pathError(tree, path, 'no such file or folder', 'not-found');
    }
  }
}

function arrived(trail: readonly Step[], root: Step): Place {
  const last = trail.at(-1) ?? root;
  return { parent: (trail.at(-2) ?? root).node, name: last.name, node: last.node, path: namesOf(trail) };
}

const namesOf = (trail: readonly Step[]): string[] => trail.slice(1).map((step) => step.name);

const textOf = (trail: readonly Step[]): string => pathText(namesOf(trail));

/** An absolute path from its components, for messages. */
export function pathText(path: readonly string[]): string {
  return `/${path.map((name) => fromByteString(name) ?? name).join('/')}`;
}

/** Why a path in the guest cannot be used. */
export type PathProblem =
  | 'not-found'
  | 'not-folder'
  | 'not-file'
  | 'is-folder'
  | 'not-empty'
  | 'exists'
  | 'loop'
  | 'too-large'
  | 'immutable'
  | 'unsupported';

/** A TSB_GUEST error about `path`, with the kind of problem as `details.reason`. */
export function pathError(tree: Tree, path: string, message: string, reason: PathProblem): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', `${path} in ${tree.base.name}: ${message}`, {
    details: { path, reason },
  });
}
