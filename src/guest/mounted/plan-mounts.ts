import { endOf } from '../../probe/range.js';
import { type DeviceTable, findDevice } from '../find-device.js';
import type { FstabEntry } from '../fstab.js';
import type { GuestVolume } from '../volume.js';
import { type BootMount, bootMounts, fstabLine } from './boot-mounts.js';

/** A filesystem that a guest's fstab mounts besides its root. */
export interface PlannedMount<V extends GuestVolume = GuestVolume> {
  /** Absolute, without `.`, `..` and trailing slashes; links in it are not followed. */
  readonly mountPoint: string;
  /** As fstab names it. */
  readonly device: string;
  /** As fstab names it: `ext4`, `auto`. */
  readonly type: string;
  /** Undefined when the device is not on this disk. */
  readonly volume: V | undefined;
  /** Why its files cannot be reached. */
  readonly obstacle: string | undefined;
  /** For what the guest needs and that is not on this disk: why files below the mount point are not the guest's. */
  readonly absent: string | undefined;
}

/** What a guest mounts below its root at boot, as {@link bootMounts}, from the disk of `table`. */
export function planMounts<V extends GuestVolume>(
  fstab: readonly FstabEntry[],
  table: DeviceTable<V>,
  root: V,
): PlannedMount<V>[] {
  const used: V[] = [root];
  return bootMounts(fstab).map((mount) => {
    const { mountPoint, entry, from } = mount;
    const { device, type } = entry;
    const volume = from === 'disk' ? findDevice(table, device) : undefined;
    const obstacle = volume ? obstacleOf(volume, used) : hiddenBehind(mount, table);
    const absent = volume || obstacle !== undefined ? undefined : absenceOf(mount);
    if (volume) used.push(volume);
    return { mountPoint, device, type, volume, obstacle, absent };
  });
}

/**
 * What to say of a filesystem that a guest needs at boot and that its disk does not have; undefined for one that it can do without.
 */
export function absenceOf({ mountPoint, entry, from, optional }: BootMount): string | undefined {
  if (optional) return undefined;
  const what = `the guest mounts ${entry.device} at ${mountPoint} (/etc/fstab: ${fstabLine(entry)})`;
  if (from === 'elsewhere') return `${what}, which is not on a disk of its own`;
  return `${what}, and none or more than one of the filesystems on this disk has that name`;
}

function obstacleOf(volume: GuestVolume, used: readonly GuestVolume[]): string | undefined {
  const { range, content, label, obstacle } = volume;
  if (obstacle !== undefined || !range) return obstacle;
  if (content.kind !== 'ext') return `it is ${label}, which holds ${content.name}, not ext2, ext3 or ext4`;
  const twice = used.find(
    (other) => other.range && range.offset < endOf(other.range) && other.range.offset < endOf(range),
  );
  // Two views of one filesystem that are changed apart would destroy it.
  return twice && `it is ${label}, and that or a part of it is mounted at another place too`;
}

/** Why a device that was not found may be on the disk nevertheless: in something that only libguestfs can look into. */
function hiddenBehind({ entry, from }: BootMount, table: DeviceTable): string | undefined {
  const { device } = entry;
  if (from === 'folder') return `it is a bind mount of ${device}`;
  if (from === 'elsewhere') return undefined;
  if (/^\/dev\/md/.test(device)) return `it is the RAID device ${device}`;
  const opaque = table.volumes.find(isOpaque);
  return opaque && `it is ${device}, which may be in ${opaque.label} (${opaque.content.name})`;
}

function isOpaque({ range, obstacle, content }: GuestVolume): boolean {
  return !range || obstacle !== undefined || content.kind === 'lvm-pv' || content.kind === 'luks';
}
