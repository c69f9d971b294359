import type { MountTable } from './mount.js';

/**
 * What to do where a path enters the mount point of what is not on the disk, for those who only read: warn, once for each mount point,
 * that the folder below is not what the guest sees.
 */
export function warnOfAbsent(warn: (message: string) => void): MountTable['enterAbsent'] {
  const told = new Set<string>();
  return ({ point, why }) => {
    if (told.has(point)) return;
    told.add(point);
    warn(`${point}: ${why}: what is read there is the folder below, which the guest does not see`);
  };
}
