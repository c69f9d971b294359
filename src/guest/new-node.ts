import type { FileAttributes } from './guest.js';
import type { Place } from './resolve-path.js';
import { inherit } from './tree-inherit.js';
import type { Tree, TreeNode } from './tree.js';

/** A new file for `place`; what is not `given` comes from the folder, or else is `mode` and root's. */
export async function newChild(
  tree: Tree,
  place: Place,
  file: Pick<TreeNode, 'type' | 'mode'> & { given: FileAttributes },
): Promise<TreeNode> {
  return newNode(tree, file, await inherit(tree, place.parent, file));
}

/** A file that is not on the disk, `like` another but for the `attributes`. */
export function newNode(
  tree: Tree,
  like: Pick<TreeNode, 'type' | 'mode'> &
    Partial<Pick<TreeNode, 'uid' | 'gid'>> & { xattrs?: Map<string, Buffer> | undefined },
  attributes: FileAttributes,
): TreeNode {
  const xattrs = new Map(like.xattrs ?? []);
  for (const [name, value] of attributes.xattrs ?? []) xattrs.set(name, Buffer.from(value));
  return {
    type: like.type,
    mode: attributes.mode ?? like.mode,
    uid: attributes.uid ?? like.uid ?? 0,
    gid: attributes.gid ?? like.gid ?? 0,
    mtime: attributes.mtime ?? tree.now,
    xattrs,
    changedXattrs: new Set(xattrs.keys()),
  };
}
