import { TsbuilderError } from '../../errors.js';
import { type TarEntry, type TarType, readTar } from '../../customize/tar/read-tar.js';
import { entryXattrs } from '../../customize/tar/tar-xattrs.js';
import { openFileSource } from '../../io/file-source.js';
import type { TemplateContext } from './context.js';

/** A file of a tree. */
export interface TreeEntry {
  /** Relative to the root, which is the empty text. */
  readonly path: string;
  /** A hard link has become a file like the one that it leads to. */
  readonly type: Exclude<TarType, 'hardlink'>;
  /** Permission bits, 0-0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** When it was last changed, in seconds since 1970. */
  readonly mtime: number;
  /** Of a symbolic link. */
  readonly target: string;
  /** Extended attributes, by their names with the namespace in front. */
  readonly attributes: ReadonlyMap<string, Buffer>;
}

/**
 * The files in the tar file of a tree, as `withTree` unpacks it: without what is in /dev.
 *
 * @throws TSB_FILESYSTEM for an access control list or an attribute of an unknown namespace; TSB_USAGE when the file is damaged
 */
export async function readTree({ signal, progress }: TemplateContext, tar: string): Promise<TreeEntry[]> {
  await using source = await openFileSource(tar);
  const found = new Map<string, TreeEntry>();
  const warn = (message: string): void => progress.warn(message);
  for await (const entry of readTar(source, { warn, signal })) {
    const path = plainPath(entry.path);
    if (path.startsWith('dev/')) continue;
    found.set(path, entry.type === 'hardlink' ? linked(found, entry) : treeEntry(entry, entry.type));
  }
  return [...found.values()];
}

function plainPath(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function treeEntry(entry: TarEntry, type: TreeEntry['type']): TreeEntry {
  const { mode, uid, gid, mtime, linkName: target } = entry;
  const attributes = entryXattrs(entry, (message) => {
    throw new TsbuilderError('TSB_FILESYSTEM', message);
  });
  return { path: plainPath(entry.path), type, mode, uid, gid, mtime, target, attributes };
}

function linked(found: ReadonlyMap<string, TreeEntry>, { path, linkName }: TarEntry): TreeEntry {
  const first = found.get(plainPath(linkName));
  if (!first) throw new TsbuilderError('TSB_FILESYSTEM', `${path} is a link to nothing`);
  return { ...first, path: plainPath(path) };
}
