import { TsbuilderError } from '../../errors.js';
import type { GuestFiles } from '../guest.js';

/** A filesystem at its place in a guest. */
export interface Mount<F extends GuestFiles = GuestFiles> {
  /** Where, as a path without links; `/` for the root. */
  readonly point: string;
  /** Undefined when it cannot be reached: `obstacle` says why. */
  readonly files: F | undefined;
  readonly obstacle?: string | undefined;
}

/** A filesystem that a guest needs and that is not on its disk: what is at its mount point there is hidden when the guest runs. */
export interface AbsentMount {
  /** Where, as a path without links. */
  readonly point: string;
  /** What is mounted there, with the line of fstab: a sentence. */
  readonly why: string;
}

/** The filesystems of a guest: the root, and what is mounted in it. */
export interface MountTable<F extends GuestFiles = GuestFiles> {
  readonly root: Mount<F> & { readonly files: F };
  /** All of them, the root first, parents before what is mounted in them. */
  readonly mounts: readonly Mount<F>[];
  readonly absent: readonly AbsentMount[];
  /** Called when `path` goes below the mount point of one of these, or what is in it is listed: throws, or lets the folder on the disk be used. */
  readonly enterAbsent: (absent: AbsentMount, path: string) => void;
  /** Paths without links that are known to lead to folders: walking a deep path again begins at the nearest of them. */
  readonly folders?: Set<string> | undefined;
}

/** The filesystem that a path without links belongs to, and what that calls it. */
export function mountOf<F extends GuestFiles>(
  table: MountTable<F>,
  path: string,
): { mount: Mount<F>; inner: string } {
  let found: Mount<F> = table.root;
  for (const mount of table.mounts) {
    if (isInside(path, mount.point) && mount.point.length > found.point.length) found = mount;
  }
  const inner = found.point === '/' ? path : path.slice(found.point.length);
  return { mount: found, inner: inner === '' ? '/' : inner };
}

/** What is not on the disk and holds the path without links, which is below its mount point. */
export function absentAbove(table: MountTable, path: string): AbsentMount | undefined {
  const { point } = mountOf(table, path).mount;
  return table.absent.find(
    (absent) => absent.point !== path && isInside(path, absent.point) && absent.point.length >= point.length,
  );
}

/** Whether `path` is `folder` or something in it. */
export function isInside(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

/**
 * The files of a mount.
 *
 * @throws TSB_GUEST with reason `other-filesystem` when they cannot be reached
 */
export function filesOf<F extends GuestFiles>(table: MountTable<F>, mount: Mount<F>, path: string): F {
  if (mount.files) return mount.files;
  const message = `${path} in ${table.root.files.name}: ${mount.point} is another filesystem that cannot be reached: ${mount.obstacle ?? 'unknown'}`;
  throw new TsbuilderError('TSB_GUEST', message, {
    hint: 'This needs libguestfs: virt-customize, guestfish.',
    details: { path, reason: 'other-filesystem', mountPoint: mount.point },
  });
}
