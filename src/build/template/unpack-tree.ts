import { join } from 'node:path';
import type { TemplateContext } from './context.js';
import { execAsRoot } from './root.js';

/**
 * Unpacks the tree in the tar file `tar` into a folder, with its owners, modes and extended attributes, for one use.
 *
 * @returns what `use` makes of the folder, which is gone then
 */
export async function withTree<T>(
  { workDir, signal }: TemplateContext,
  tar: string,
  use: (tree: string) => Promise<T>,
): Promise<T> {
  const tree = join(workDir, 'tree');
  // Device nodes cannot be made in a user namespace, and the kernel makes them in every boot; the folder must be there.
  const skip = ['--anchored', '--exclude=./dev/*'];
  const keep = ['--numeric-owner', '--same-permissions', '--same-owner', '--xattrs', '--xattrs-include=*'];
  await execAsRoot('mkdir', ['-m', '0755', tree], { signal });
  await execAsRoot('tar', ['--extract', '--file', tar, '--directory', tree, ...skip, ...keep], { signal });
  const result = await use(tree);
  await execAsRoot('rm', ['-rf', '--one-file-system', '--', tree], { signal });
  return result;
}
