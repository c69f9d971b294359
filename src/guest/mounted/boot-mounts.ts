import { TsbuilderError } from '../../errors.js';
import type { FstabEntry } from '../fstab.js';

/** A line of fstab(5) that is mounted at boot below the root. */
export interface BootMount {
  /** Absolute, without `.`, `..` and trailing slashes; links in it are not followed. */
  readonly mountPoint: string;
  readonly entry: FstabEntry;
  /** From a disk, from another place of the guest, or from what is no disk of a machine: a network, the host, a program. */
  readonly from: 'disk' | 'folder' | 'elsewhere';
  /** The guest boots without it (`nofail`): what is at its mount point then is the folder below. */
  readonly optional: boolean;
}

/** What the kernel fills, and what is no filesystem. */
const WITHOUT_FILES =
  /^(proc|sysfs|swap|none|ignore|\w*tmpfs|ramfs|devpts|\w*fusectl|configfs|debugfs|tracefs|securityfs|selinuxfs|cgroup2?|pstore|efivarfs|bpf|mqueue|hugetlbfs|binfmt_misc|rpc_pipefs|usbfs|usbdevfs|autofs|overlay|aufs|unionfs)$/;

/** Filesystems whose files are on other machines, on the host, or come from a program. */
const ELSEWHERE =
  /^(nfs4?|cifs|smb\w*|9p|virtiofs|ceph|glusterfs|afs|ncpfs|coda|lustre|davfs2?|sshfs|fuse(\..*)?)$/;

/** `//server/share` and `server:/path`. */
const REMOTE = /^\/\/|^[^/=]+:\//;

/** Drives for media that come and go: never what a guest is made of. */
const REMOVABLE = /^\/dev\/(sr\d+|scd\d+|cdrom\w*|dvd\w*|fd\d+|floppy\w*)$/;

/** No honest guest has more; each is looked for on the disk. */
const MAX_MOUNTS = 256;

/**
 * What a guest mounts below its root at boot, parents before what is mounted in them; of two lines with one mount point the last one.
 * Entries that are not mounted at boot (`noauto`), removable media and filesystems without files of their own (swap, tmpfs) are left out.
 *
 * @throws TSB_GUEST when there are more than 256: to leave one out could mean to write into the folder that it hides
 */
export function bootMounts(fstab: readonly FstabEntry[]): BootMount[] {
  const byPoint = new Map<string, BootMount>();
  for (const entry of fstab) {
    const mountPoint = plainMountPoint(entry.mountPoint);
    if (mountPoint === undefined || !isMounted(entry)) continue;
    const optional = entry.options.includes('nofail');
    byPoint.set(mountPoint, { mountPoint, entry, from: originOf(entry), optional });
  }
  if (byPoint.size > MAX_MOUNTS) throw tooMany(byPoint.size);
  return [...byPoint.values()].sort(
    (a, b) => depthOf(a) - depthOf(b) || (a.mountPoint < b.mountPoint ? -1 : 1),
  );
}

function tooMany(count: number): TsbuilderError {
  const message = `the guest's /etc/fstab mounts ${count} filesystems, more than the ${MAX_MOUNTS} that can be kept apart`;
  return new TsbuilderError('TSB_GUEST', message, {
    hint: 'A single partition can be looked into: tsbuilder ls DISK:N.',
    details: { count, reason: 'too-many-mounts' },
  });
}

/** A line of fstab for messages. */
export function fstabLine({ device, mountPoint, type, options }: FstabEntry): string {
  return JSON.stringify([device, mountPoint, type, options.join(',')].join(' '));
}

function isMounted(entry: FstabEntry): boolean {
  const { device, type, options } = entry;
  if (WITHOUT_FILES.test(type) && !isBind(entry)) return false;
  if (REMOVABLE.test(device)) return false;
  return !options.includes('noauto') || options.includes('x-systemd.automount');
}

function originOf(entry: FstabEntry): BootMount['from'] {
  if (isBind(entry)) return 'folder';
  return ELSEWHERE.test(entry.type) || REMOTE.test(entry.device) ? 'elsewhere' : 'disk';
}

function isBind({ options }: FstabEntry): boolean {
  return options.includes('bind') || options.includes('rbind');
}

/** Undefined for the root itself, and for what is no path. */
function plainMountPoint(path: string): string | undefined {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return !path.startsWith('/') || parts.length === 0 || parts.includes('..')
    ? undefined
    : `/${parts.join('/')}`;
}

const depthOf = ({ mountPoint }: BootMount): number => mountPoint.split('/').length;
