import { TsbuilderError } from '../errors.js';
import { type ByteSource, sliceSource } from '../io/byte-source.js';
import { openFileSource } from '../io/file-source.js';
import { type ExtGuestOptions, openExtFiles, openExtGuest } from './ext/open-ext-guest.js';
import { isExt } from './ext/volume.js';
import type { Guest, GuestFiles } from './guest.js';
import { type GuestOs, inspectGuest } from './inspect.js';

/** A partition that may have a guest's root filesystem; the whole disk is number 0. */
export interface GuestPartition {
  readonly number: number;
  /** Bytes from the disk's beginning. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** A root filesystem that was found. */
export interface GuestRoot<P extends GuestPartition = GuestPartition> {
  readonly partition: P;
  readonly os: GuestOs;
}

/**
 * Looks for the root filesystems of Linux systems among `partitions`: ext filesystems with an /etc and a system around
 * it. Needs only reads, so `disk` can be anything that can be read at random.
 *
 * @returns in the order of `partitions`; empty when there is none that this can read
 * @throws TSB_FILESYSTEM when an ext filesystem is damaged
 */
export async function findRoots<P extends GuestPartition>(
  disk: ByteSource,
  partitions: readonly P[],
  signal?: AbortSignal,
): Promise<GuestRoot<P>[]> {
  const roots: GuestRoot<P>[] = [];
  for (const partition of partitions) {
    if (partition.offset + partition.length > disk.size) continue;
    const source = sliceSource(disk, partition.offset, partition.length);
    if (!(await isExt(source, signal))) continue;
    const files = await openExtFiles(source, signal);
    if (!(await looksLikeRoot(files))) continue;
    const os = await inspectGuest(files);
    if (os.type === 'linux') roots.push({ partition, os });
  }
  return roots;
}

/** A separate /boot, /usr or /home has no /etc; a data disk with one has no programs. */
async function looksLikeRoot(files: GuestFiles): Promise<boolean> {
  if (!(await files.exists('/etc'))) return false;
  for (const path of ['/bin', '/usr', '/sbin']) if (await files.exists(path)) return true;
  return false;
}

/** The part of {@link ExtGuestOptions} that does not say where. */
export type OpenGuestOptions = Omit<ExtGuestOptions, 'offset' | 'length'>;

/**
 * Opens every Linux root filesystem of a raw disk, one after the other: what has to be done to each system on a disk
 * (a disk with two root partitions for updates has two) is done in `work`, and committed when it returns.
 *
 * @returns what `work` returned for each, in the order of `partitions`
 */
export async function forEachGuest<T, P extends GuestPartition>(
  disk: { path: string; partitions: readonly P[] },
  options: OpenGuestOptions,
  work: (guest: Guest, partition: P) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (const { partition } of await rootsOf(disk, options)) {
    const { offset, length } = partition;
    await using guest = await openExtGuest(disk.path, { ...options, offset, length });
    results.push(await work(guest, partition));
    await guest.commit();
  }
  return results;
}

/**
 * Opens the one Linux root filesystem of a raw disk.
 *
 * @returns undefined when there is none on an ext filesystem
 * @throws TSB_GUEST when there are several: which one is meant cannot be guessed
 */
export async function openGuest(
  disk: { path: string; partitions: readonly GuestPartition[] },
  options: OpenGuestOptions = {},
): Promise<Guest | undefined> {
  const roots = await rootsOf(disk, options);
  const [root, ...others] = roots;
  if (others.length > 0) {
    const list = roots.map(
      ({ partition, os }) => `partition ${partition.number} (${os.distro?.name ?? 'Linux'})`,
    );
    throw new TsbuilderError(
      'TSB_GUEST',
      `${disk.path}: ${roots.length} systems on one disk: ${list.join(', ')}`,
      {
        hint: 'Say which one is meant.',
      },
    );
  }
  if (!root) return undefined;
  const { offset, length } = root.partition;
  return openExtGuest(disk.path, { ...options, offset, length });
}

async function rootsOf<P extends GuestPartition>(
  disk: { path: string; partitions: readonly P[] },
  options: OpenGuestOptions,
): Promise<GuestRoot<P>[]> {
  await using source = await openFileSource(disk.path);
  return await findRoots(source, disk.partitions, options.signal);
}
