import { type BaseId, type LoadedNode, type Tree, type TreeNode, entryId, linksOf } from './tree.js';

/** One of the names of a file. */
export interface NamePlace {
  readonly folder: TreeNode;
  readonly name: string;
}

/**
 * All names that a file of the base has in the tree now. Names of one file are mostly near each other, so the search begins in
 * the folder `near` and ends when all are found; else it goes through the whole filesystem.
 */
export async function namesOf(tree: Tree, node: LoadedNode, near: TreeNode): Promise<NamePlace[]> {
  const wanted = linksOf(node);
  const places: NamePlace[] = [];
  const seen = new Set<TreeNode | BaseId>();
  const todo: (TreeNode | BaseId)[] = [await tree.root(), near];
  for (let next = todo.pop(); next !== undefined && places.length < wanted; next = todo.pop()) {
    // A damaged filesystem can have a folder inside itself.
    const key = entryId(next) ?? next;
    if (seen.has(key)) continue;
    seen.add(key);
    for (const [name, entry] of await entriesOf(tree, next)) {
      if (entryId(entry) === node.base.id) {
        places.push({ folder: typeof next === 'number' ? await tree.node(next) : next, name });
      } else if (await isFolder(tree, entry)) todo.push(entry);
    }
  }
  return places;
}

/** What is in a folder; nothing of the base is loaded for it. */
async function entriesOf(
  tree: Tree,
  folder: TreeNode | BaseId,
): Promise<ReadonlyMap<string, TreeNode | BaseId>> {
  const node = typeof folder === 'number' ? tree.loadedNode(folder) : folder;
  if (node) return (await tree.entries(node)).entries;
  return tree.base.entries(folder as BaseId);
}

async function isFolder(tree: Tree, entry: TreeNode | BaseId): Promise<boolean> {
  const { type } = typeof entry === 'number' ? await tree.base.file(entry) : entry;
  return type === 'directory';
}
