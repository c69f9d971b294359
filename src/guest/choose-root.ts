import { TsbuilderError } from '../errors.js';
import { mapperName } from './find-device.js';
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
  const found =
    wanted === undefined
      ? roots
      : roots.filter(({ volume, partition }) =>
          isSystemName(wanted, { number: partition.number, lvm: volume.lvm }),
        );
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

/** What a system can be called by. */
export interface SystemPlace {
  /** Of its partition; 0: the whole disk. */
  readonly number: number;
  readonly lvm?: { readonly group: string; readonly volume: string } | undefined;
}

/** Whether a user who writes `wanted` means a system there: `3`, `/dev/sda3`, `root`, `vg/root`, `/dev/vg/root`, `/dev/mapper/vg-root`. */
export function isSystemName(wanted: string, { number, lvm }: SystemPlace): boolean {
  const plain = wanted.replace(/^\/dev\/(mapper\/)?/, '');
  if (lvm) {
    const { group, volume } = lvm;
    return [volume, `${group}/${volume}`, `${group}-${volume}`, mapperName(lvm)].includes(plain);
  }
  return /^([a-z]+|nvme\d+n\d+p|mmcblk\d+p)?(\d+)$/.exec(plain)?.[2] === String(number);
}
