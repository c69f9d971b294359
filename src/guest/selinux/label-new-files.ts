import type { GuestFiles } from '../guest.js';
import type { SelinuxState } from '../inspect.js';
import type { Tree } from '../tree.js';
export async function labelNewFiles(_tree: Tree, _files: GuestFiles, _state: SelinuxState): Promise<void> {
  return Promise.resolve();
}
