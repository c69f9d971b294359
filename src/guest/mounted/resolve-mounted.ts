import { TsbuilderError } from '../../errors.js';
import type { FileStat, GuestFiles } from '../guest.js';
import { isMissing } from '../read-files.js';
import type { PathProblem } from '../resolve-path.js';
import { type Mount, type MountTable, absentAbove, filesOf, mountOf } from './mount.js';

/** Where a path leads in a guest of several filesystems. */
export interface MountedPlace<F extends GuestFiles = GuestFiles> {
  readonly mount: Mount<F>;
  readonly files: F;
  /** The path within that filesystem, without links. */
  readonly inner: string;
  /** The path within the guest, without links. */
  readonly path: string;
  /** Undefined when there is nothing; then its folder is there. */
  readonly stat: FileStat | undefined;
}

/** The limit of the Linux kernel. */
const MAX_LINKS = 40;

/** Distance between the numbers of files of different filesystems; larger than any inode number. */
const FILES_OF_ONE = 2 ** 32;

/**
 * Walks `path` from the guest's root over all its filesystems. Links are followed inside the guest only: an absolute target starts again
 * at its root, and `..` in the root stays there.
 *
 * @param follow whether a link in the last component is followed too (those before it always are)
 * @throws TSB_GUEST when a parent is missing or no folder, there are too many links, or the path enters a filesystem that cannot be reached,
 *   and what `enterAbsent` throws
 */
export async function resolveMounted<F extends GuestFiles>(
  table: MountTable<F>,
  path: string,
  follow: 'links' | 'parents',
): Promise<MountedPlace<F>> {
  if (!path.startsWith('/'))
    throw problem(table, path, 'a path in the guest must begin with /', 'unsupported');
  const asked = componentsOf(path);
  let trail = knownStart(table, asked);
  let here = await lookAt(table, textOf(trail), path);
  const todo = asked.slice(trail.length).reverse();
  for (let links = 0; ;) {
    const name = todo.pop();
    if (name === undefined) return here;
    if (here.stat?.type !== 'directory')
      throw problem(table, path, `${here.path} is not a folder`, 'not-folder');
    table.folders?.add(here.path);
    if (name === '..') {
      trail.pop();
      here = await lookAt(table, textOf(trail), path);
      continue;
    }
    const next = await lookAt(table, textOf([...trail, name]), path);
    const isLink = next.stat?.type === 'symlink' && (todo.length > 0 || follow === 'links');
    if (isLink) {
      links += 1;
      if (links > MAX_LINKS) throw problem(table, path, 'too many symbolic links', 'loop');
      const target = await next.files.readLink(next.inner);
      if (target.startsWith('/')) {
        trail = [];
        here = await lookAt(table, '/', path);
      }
      todo.push(...componentsOf(target).reverse());
    } else if (next.stat === undefined && todo.length > 0) {
      throw problem(table, path, 'no such file or folder', 'not-found');
    } else {
      trail.push(name);
      here = next;
    }
  }
}

/** The longest beginning of a path that is known to lead to a folder and to have no link in it. */
function knownStart({ folders }: MountTable, components: readonly string[]): string[] {
  const up = components.indexOf('..');
  const start = up < 0 ? [...components] : components.slice(0, up);
  let path = textOf(start);
  while (start.length > 0 && !folders?.has(path)) {
    path = path.slice(0, -1 - (start.pop() ?? '').length);
  }
  return start;
}

/** What a path without links is. */
async function lookAt<F extends GuestFiles>(
  table: MountTable<F>,
  path: string,
  asked: string,
): Promise<MountedPlace<F>> {
  const absent = absentAbove(table, path);
  if (absent) table.enterAbsent(absent, asked);
  const { mount, inner } = mountOf(table, path);
  const files = filesOf(table, mount, asked);
  const stat = await lstatOrNothing(files, inner);
  return { mount, files, inner, path, stat: stat && globalStat(table, mount, stat) };
}

/** What is known of a file of `mount`, with a number that is unique in the whole guest. */
export function globalStat(table: MountTable, mount: Mount, stat: FileStat): FileStat {
  return { ...stat, id: stat.id + table.mounts.indexOf(mount) * FILES_OF_ONE };
}

async function lstatOrNothing(files: GuestFiles, inner: string): Promise<FileStat | undefined> {
  try {
    return await files.lstat(inner);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const componentsOf = (path: string): string[] =>
  path.split('/').filter((part) => part !== '' && part !== '.');

const textOf = (trail: readonly string[]): string => `/${trail.join('/')}`;

/** A TSB_GUEST error about `path`. */
export function problem(
  table: MountTable,
  path: string,
  message: string,
  reason: PathProblem | 'busy' | 'other-filesystem',
): TsbuilderError {
  return new TsbuilderError('TSB_GUEST', `${path} in ${table.root.files.name}: ${message}`, {
    details: { path, reason },
  });
}

/** The place of something that must be there. @throws TSB_GUEST when it is not */
export async function findMounted<F extends GuestFiles>(
  table: MountTable<F>,
  path: string,
  follow: 'links' | 'parents',
): Promise<MountedPlace<F> & { readonly stat: FileStat }> {
  const place = await resolveMounted(table, path, follow);
  if (place.stat === undefined) throw problem(table, path, 'no such file or folder', 'not-found');
  return { ...place, stat: place.stat };
}
