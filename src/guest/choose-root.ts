import { TsbuilderError } from '../errors.js';
import type { GuestRoot } from './find-root.js';
import type { GuestPartition } from './volume.js';

/**
 * The system that is meant: the one that `wanted` names by its partition's number (`3`, `/dev/sda3`) or its LVM volume (`root`, `vg/root`,
 * `/dev/vg/root`), or the only one.
 *
 * @param disk its path, for messages
 * @returns undefined when there is none and none was asked for
 * @throws TSB_GUEST when which one is meant cannot be told, or there is none of that name
 */
export function chooseRoot<P extends GuestPartition>(
  disk: string,
  roots: readonly GuestRoot<P>[],
  wanted: string | undefined,
): GuestRoot<P> | undefined {
  const found = wanted === undefined ? roots : roots.filter((root) => isNamed(root, wanted));
  if (found.length === 1 || (found.length === 0 && wanted === undefined)) return found[0];
  const list = roots.map(({ volume, os }) => `${volume.label} (${os.distro?.name ?? 'Linux'})`).join(', ');
  if (found.length > 1) {
    throw new TsbuilderError('TSB_GUEST', `${disk}: ${found.length} systems on one disk: ${list}`, {
      hint: `Say which one is meant: --root ${found.map(({ volume }) => volume.id).join(' or --root ')}`,
      details: { systems: found.map(({ volume }) => volume.id).join(',') },
    });
  }
  throw new TsbuilderError('TSB_GUEST', `${disk}: no Linux system has its root on ${wanted ?? ''}`, {
    hint: list === '' ? undefined : `There is ${list}.`,
  });
}

function isNamed({ volume, partition }: GuestRoot, wanted: string): boolean {
  const { lvm } = volume;
  const plain = wanted.replace(/^\/dev\//, '');
  if (lvm) return plain === volume.id || plain === lvm.volume || plain === `${lvm.group}-${lvm.volume}`;
  return /^([a-z]+|nvme\d+n\d+p|mmcblk\d+p)?(\d+)$/.exec(plain)?.[2] === String(partition.number);
}
