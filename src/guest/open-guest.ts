import { openFileSource } from '../io/file-source.js';
import type { Progress } from '../progress.js';
import { chooseRoot } from './choose-root.js';
import { type ExtGuestOptions, openExtGuest } from './ext/open-ext-guest.js';
import { type GuestPartition, type GuestRoot, findRoots } from './find-root.js';
import type { Guest } from './guest.js';
import { inspectGuest } from './inspect.js';
import { mountedGuest } from './mounted/mounted-guest.js';
import { reachableFiles } from './mounted/mounted-files.js';
import { mountAll } from './mounted/open-files.js';
import { warnOfAbsent } from './mounted/warn-absent.js';
import type { PartGuest } from './pending-commit.js';
import type { GuestVolume } from './volume.js';

/** How a guest is opened: the part of {@link ExtGuestOptions} that does not say where. */
export interface OpenGuestOptions extends Pick<ExtGuestOptions, 'fakeTime' | 'sync' | 'lockFd' | 'signal'> {
  /** Told, once for each, where something is read below the mount point of what is not on the disk. */
  readonly progress?: Pick<Progress, 'warn'> | undefined;
}

/** A raw disk, and where its partitions are. */
export interface GuestDisk<P extends GuestPartition = GuestPartition> {
  readonly path: string;
  readonly partitions: readonly P[];
}

/**
 * Opens the one Linux system of a raw disk, or the one that `system` names (a partition's number, an LVM volume), with everything that
 * its fstab mounts: see {@link openRoot}.
 *
 * @returns undefined when there is none on an ext filesystem
 * @throws TSB_GUEST when there are several and none is named, or none of that name; TSB_FILESYSTEM for damage
 */
export async function openGuestOn(
  disk: GuestDisk,
  options: OpenGuestOptions & { readonly system?: string | undefined } = {},
): Promise<Guest | undefined> {
  const root = chooseRoot(disk.path, await rootsOf(disk, options), options.system);
  return root && (await openRoot(disk.path, root, options));
}

/**
 * Opens every Linux system of a raw disk, one after the other: what has to be done to each system on a disk (a disk with two root
 * partitions for updates has two) is done in `work`, and committed when it returns.
 *
 * @returns what `work` returned for each, in the order of `partitions`
 */
export async function forEachGuest<T, P extends GuestPartition>(
  disk: GuestDisk<P>,
  options: OpenGuestOptions,
  work: (guest: Guest, partition: P) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (const root of await rootsOf(disk, options)) {
    await using guest = await openRoot(disk.path, root, options);
    results.push(await work(guest, root.partition));
    await guest.commit();
  }
  return results;
}

async function rootsOf<P extends GuestPartition>(
  disk: GuestDisk<P>,
  options: OpenGuestOptions,
): Promise<GuestRoot<P>[]> {
  await using source = await openFileSource(disk.path);
  return await findRoots(source, disk.partitions, options.signal);
}

/**
 * Opens a Linux system that was found on the raw disk at `path` as one guest: its root filesystem and those that its fstab mounts. A path
 * that enters one that cannot be changed here (XFS, FAT, an LVM volume in pieces, damage) is TSB_GUEST with reason `other-filesystem`; to
 * change something on one that is not on the disk, with reason `not-on-disk`.
 *
 * @throws as `openExtGuest` for its root filesystem
 */
export async function openRoot(
  path: string,
  root: GuestRoot,
  options: OpenGuestOptions = {},
): Promise<Guest> {
  const { fakeTime, sync, lockFd, progress, signal } = options;
  const opened: PartGuest[] = [];
  const open = async (volume: GuestVolume, within?: ExtGuestOptions['within']): Promise<PartGuest> => {
    const guest = await openExtGuest(path, { fakeTime, sync, lockFd, signal, ...volume.range, within });
    opened.push(guest);
    return guest;
  };
  try {
    const rootGuest = await open(root.volume);
    const table = await mountAll<PartGuest>(rootGuest, root.mounts, (point, volume) =>
      open(volume, { root: rootGuest, point }),
    );
    if (table.mounts.length + table.absent.length === 1) return rootGuest;
    const enterAbsent = warnOfAbsent((message) => progress?.warn(message));
    return mountedGuest({ ...table, enterAbsent }, await inspectGuest(reachableFiles(table)));
  } catch (error) {
    for (const guest of opened) await guest[Symbol.asyncDispose]();
    throw error;
  }
}
