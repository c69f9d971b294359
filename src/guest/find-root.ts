import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { openExtFiles } from './ext/open-ext-guest.js';
import { type DeviceTable, readDeviceTable } from './find-device.js';
import { readFstab } from './fstab.js';
import type { GuestFiles } from './guest.js';
import { type GuestOs, inspectGuest } from './inspect.js';
import { mountedFiles, reachableFiles } from './mounted/mounted-files.js';
import { openMountTable } from './mounted/open-files.js';
import { type PlannedMount, planMounts } from './mounted/plan-mounts.js';
import { type GuestPartition, type GuestVolume, listVolumes, volumeSource } from './volume.js';

export type { GuestPartition } from './volume.js';

/** A Linux system that was found on a disk. */
export interface GuestRoot<P extends GuestPartition = GuestPartition> {
  /** The partition that its root filesystem is on, or that holds the LVM volume that it is on. */
  readonly partition: P;
  /** What its root filesystem is on. */
  readonly volume: GuestVolume<P>;
  /** What its fstab mounts below the root. */
  readonly mounts: readonly PlannedMount<GuestVolume<P>>[];
  readonly os: GuestOs;
}

/**
 * Looks for the root filesystems of Linux systems among `partitions` and the LVM volumes in them: ext filesystems with an /etc and a
 * system around it, which may be on other filesystems that its fstab mounts. Needs only reads, so `disk` can be anything that can be
 * read at random.
 *
 * @returns in the order of `partitions`; empty when there is none that this can read
 * @throws TSB_FILESYSTEM when an ext filesystem is damaged that may be a root: that no system mounts elsewhere
 */
export async function findRoots<P extends GuestPartition>(
  disk: ByteSource,
  partitions: readonly P[],
  signal?: AbortSignal,
): Promise<GuestRoot<P>[]> {
  const table = await readDeviceTable(disk, await listVolumes(disk, partitions, signal), signal);
  const roots: GuestRoot<P>[] = [];
  const damaged: { volume: GuestVolume<P>; error: unknown }[] = [];
  for (const volume of table.volumes) {
    try {
      const found = await openSystem(disk, { table, volume }, signal);
      if (found) roots.push(found.root);
    } catch (error) {
      if (!isDamage(error)) throw error;
      damaged.push({ volume, error });
    }
  }
  const isPart = (volume: GuestVolume<P>): boolean =>
    roots.some(({ mounts }) => mounts.some((mount) => mount.volume === volume));
  for (const { volume, error } of damaged) if (!isPart(volume)) throw error;
  return withoutParts(roots);
}

const isDamage = (error: unknown): boolean =>
  error instanceof TsbuilderError && error.code === 'TSB_FILESYSTEM';

/** A system and its files. */
export interface OpenedSystem<P extends GuestPartition = GuestPartition> {
  readonly root: GuestRoot<P>;
  /** With everything that it mounts. */
  readonly files: GuestFiles;
  /** The same, but what cannot be reached looks as if it were not mounted. */
  readonly reachable: GuestFiles;
}

/**
 * The Linux system whose root filesystem is on a volume, and its files; undefined when there is none.
 *
 * @throws TSB_FILESYSTEM when its root filesystem is damaged
 */
export async function openSystem<P extends GuestPartition>(
  disk: ByteSource,
  where: { readonly table: DeviceTable<GuestVolume<P>>; readonly volume: GuestVolume<P> },
  signal?: AbortSignal,
): Promise<OpenedSystem<P> | undefined> {
  const { table, volume } = where;
  const source = volume.content.kind === 'ext' ? volumeSource(disk, volume) : undefined;
  if (!source) return undefined;
  const rootFiles = await openExtFiles(source, signal);
  if (!(await rootFiles.exists('/etc'))) return undefined;
  const mounts = planMounts(await readFstab(rootFiles), table, volume);
  const mounted = await openMountTable(disk, rootFiles, { mounts, signal });
  const reachable = reachableFiles(mounted);
  if (!(await hasPrograms(reachable))) return undefined;
  const os = await inspectGuest(reachable);
  if (os.type !== 'linux') return undefined;
  return {
    root: { partition: volume.partition, volume, mounts, os },
    files: mountedFiles(mounted),
    reachable,
  };
}

/** A separate /boot or /home has no /etc; a data disk with one has no programs. */
async function hasPrograms(files: GuestFiles): Promise<boolean> {
  for (const path of ['/bin', '/usr', '/sbin']) if (await files.exists(path)) return true;
  return false;
}

/** Without what is only the /usr of another system and looks like a root because it has a /bin and an /etc. */
export function withoutParts<R extends Pick<GuestRoot, 'volume' | 'mounts'>>(roots: readonly R[]): R[] {
  const parts = roots.flatMap(({ mounts }) =>
    mounts.flatMap(({ mountPoint, volume }) => (mountPoint === '/usr' && volume ? [volume] : [])),
  );
  return roots.filter(({ volume }) => !parts.includes(volume));
}
