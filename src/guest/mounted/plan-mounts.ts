import { endOf } from '../../probe/range.js';
import { type DeviceTable, findDevice } from '../find-device.js';
import type { FstabEntry } from '../fstab.js';
import type { GuestVolume } from '../volume.js';

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
}

/** Filesystems that are on no disk, or on one of another machine. */
const NOT_ON_A_DISK =
  /^(proc|sysfs|swap|none|ignore|\w*tmpfs|ramfs|devpts|\w*fusectl|configfs|debugfs|tracefs|securityfs|selinuxfs|cgroup2?|pstore|efivarfs|bpf|mqueue|hugetlbfs|binfmt_misc|rpc_pipefs|usbfs|usbdevfs|autofs|overlay|aufs|unionfs|nfs4?|cifs|smb\w*|9p|virtiofs|ceph|glusterfs|afs|sshfs|fuse(\..*)?)$/;

/** No honest guest has more. */
const MAX_MOUNTS = 64;

/**
 * What a guest mounts below its root, parents before what is mounted in them. Entries that are not mounted at boot (`noauto`) and
 * filesystems that are on no disk are left out.
 */
export function planMounts<V extends GuestVolume>(
  fstab: readonly FstabEntry[],
  table: DeviceTable<V>,
  root: V,
): PlannedMount<V>[] {
  const byPoint = new Map<string, FstabEntry>();
  for (const entry of fstab) {
    const mountPoint = plainMountPoint(entry.mountPoint);
    if (mountPoint !== undefined && isMounted(entry)) byPoint.set(mountPoint, entry);
  }
  const used: V[] = [root];
  return [...byPoint]
    .sort(([a], [b]) => depthOf(a) - depthOf(b) || (a < b ? -1 : 1))
    .slice(0, MAX_MOUNTS)
    .map(([mountPoint, { device, type, options }]) => {
      const isBind = options.some((option) => option === 'bind' || option === 'rbind');
      const volume = isBind ? undefined : findDevice(table, device);
      const obstacle = isBind ? `it is a bind mount of ${device}` : volume && obstacleOf(volume, used);
      if (volume) used.push(volume);
      return { mountPoint, device, type, volume, obstacle };
    });
}

function isMounted({ type, options }: FstabEntry): boolean {
  const isBind = options.includes('bind') || options.includes('rbind');
  if (NOT_ON_A_DISK.test(type) && !isBind) return false;
  return !options.includes('noauto') || options.includes('x-systemd.automount');
}

/** Undefined for the root itself, and for what is no path. */
function plainMountPoint(path: string): string | undefined {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return !path.startsWith('/') || parts.length === 0 || parts.includes('..')
    ? undefined
    : `/${parts.join('/')}`;
}

const depthOf = (path: string): number => path.split('/').length;

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
