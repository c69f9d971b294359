import { TsbuilderError } from '../errors.js';
import type { Place } from './resolve-path.js';
import type { Tree, TreeNode } from './tree.js';

/**
 * Checks that chattr(1) has not made a file immutable or append-only: the guest's own kernel would refuse to change it,
 * and whoever protected it meant that.
 *
 * @throws TSB_GUEST with reason `immutable`
 */
export function assertUnprotected(tree: Tree, path: string, node: TreeNode | undefined): void {
  if (node?.base?.protection !== undefined) throw protectedError(tree, path, node.base.protection);
}

/**
 * Checks that a name can be made, replaced or removed: by what has it now and by its folder. A folder that is append-only
 * takes new names.
 *
 * @throws TSB_GUEST with reason `immutable`
 */
export function assertUnprotectedPlace(tree: Tree, path: string, place: Place): void {
  assertUnprotected(tree, path, place.node);
  const folder = place.parent.base?.protection;
  if (folder === undefined || (folder === 'append-only' && !place.node)) return;
  throw protectedError(tree, `the folder of ${path}`, folder);
}

function protectedError(tree: Tree, what: string, protection: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_GUEST',
    `${what} in ${tree.base.name}: is ${protection} (chattr) and cannot be changed`,
    {
      hint: 'Take the protection away in the guest with chattr.',
      details: { path: what, reason: 'immutable' },
    },
  );
}
