import { symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { openScratchFolder } from '../io/scratch-folder.js';

const PLAIN = /^[\w/.+-]+$/;

/**
 * Runs `use` with a name for the file at `path` in which no character has a meaning for e2fsprogs (`?offset=`) or
 * libguestfs: the absolute path itself, or a symbolic link that is removed afterwards.
 */
export async function withPlainPath<T>(path: string, use: (plain: string) => Promise<T>): Promise<T> {
  const absolute = resolve(path);
  if (PLAIN.test(absolute)) return use(absolute);
  await using folder = await openScratchFolder('link');
  const link = join(folder.path, 'disk');
  await symlink(absolute, link);
  return await use(link);
}
