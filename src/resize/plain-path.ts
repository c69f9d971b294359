import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const PLAIN = /^[\w/.+-]+$/;

/**
 * Runs `use` with a name for the file at `path` in which no character has a meaning for e2fsprogs (`?offset=`) or
 * libguestfs: the absolute path itself, or a symbolic link that is removed afterwards.
 */
export async function withPlainPath<T>(path: string, use: (plain: string) => Promise<T>): Promise<T> {
  const absolute = resolve(path);
  if (PLAIN.test(absolute)) return use(absolute);
  const folder = await mkdtemp(join(tmpdir(), 'tsbuilder-link-'));
  try {
    const link = join(folder, 'disk');
    await symlink(absolute, link);
    return await use(link);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
