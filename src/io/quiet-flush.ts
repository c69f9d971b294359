import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LIBRARY = ['libeatmydata.so.1', 'libeatmydata.so'];

let found: { path: string | undefined } | undefined;

/**
 * Environment for children (e2fsck, resize2fs, debugfs) that would fsync the image they work on and so force hundreds
 * of MB to the disk that the kernel may write at its leisure: libeatmydata, preloaded, turns fsync, fdatasync, msync
 * and sync into nothing. For an output that nobody has seen yet this is safe; with `--sync` it is not used.
 *
 * @returns `{ LD_PRELOAD }` with what is preloaded already kept, or `{}` when libeatmydata (Debian: libeatmydata1) is
 *   not installed
 */
export function noFlushEnv(): Record<string, string> {
  found ??= { path: findLibrary() };
  if (found.path === undefined) return {};
  const present = process.env['LD_PRELOAD'];
  return { LD_PRELOAD: present ? `${found.path}:${present}` : found.path };
}

function findLibrary(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  return libraryFolders()
    .flatMap((folder) => LIBRARY.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** Debian's folder for this architecture first, then any other multiarch folder, then where other systems install. */
function libraryFolders(): string[] {
  const machine = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i386' }[process.arch as string] ?? process.arch;
  const multiarch = readFolder('/usr/lib').filter((name) => name.startsWith(`${machine}-linux-`));
  return [...multiarch.map((name) => join('/usr/lib', name)), '/usr/lib64', '/usr/lib', '/usr/local/lib'];
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
