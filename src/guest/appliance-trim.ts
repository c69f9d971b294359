import { sectorSizeOption } from '../io/guestfish.js';
import { type GuestfishCommand, type LaunchOptions, hostPath, launchAppliance } from './appliance-launch.js';
import type { GuestfishShell } from './appliance-shell.js';

/** Filesystems whose drivers in the appliance tell what is free. */
export type TrimmedKind = 'xfs' | 'btrfs' | 'ntfs';

/** A filesystem in an appliance. */
export interface TrimTarget {
  /** As the appliance calls it: `/dev/sda2`, `/dev/vg/root`. */
  readonly device: string;
  readonly kind: TrimmedKind;
}

/** An image in which free space is discarded. */
export interface TrimImage {
  /** Path of a qcow2 image, which is changed. */
  readonly path: string;
  readonly sectorSize: number;
}

/** Exit statuses of ntfs-3g.probe(8). */
const NTFS_PROBLEMS: Readonly<Record<string, string>> = {
  '14': 'a hibernated system',
  '15': 'it was not unmounted cleanly',
};

/**
 * Lets the drivers of a libguestfs appliance discard the free space of filesystems. XFS and btrfs are mounted read-only: with a clean log they
 * change nothing that is in use. ntfs-3g can only discard what it may write, and is asked first whether that is safe.
 *
 * @returns for each filesystem why it could not be done; undefined where it was
 * @throws TSB_TOOL_FAILED when the appliance does not start or fails, TSB_TOOL_MISSING
 */
export async function trimInAppliance(
  { path, sectorSize }: TrimImage,
  targets: readonly TrimTarget[],
  options: Omit<LaunchOptions, 'image'>,
): Promise<(string | undefined)[]> {
  const drive = [
    'format:qcow2',
    'readonly:false',
    'discard:enable',
    'cachemode:unsafe',
    ...sectorSizeOption(sectorSize),
  ];
  const commands: GuestfishCommand[] = [
    ['set-network', 'false'],
    ['add-drive', hostPath(path), ...drive],
  ];
  await using shell = await launchAppliance(commands, { ...options, image: path });
  using _ = options.progress.step('Asking filesystems what is free');
  const problems: (string | undefined)[] = [];
  for (const target of targets) problems.push(await trim(shell, target));
  await shell.send('shutdown');
  await shell.end();
  return problems;
}

/** A command with a dash in front may fail: what it did is looked at instead. */
async function trim(shell: GuestfishShell, { device, kind }: TrimTarget): Promise<string | undefined> {
  if (kind === 'ntfs') {
    const status = (await shell.send('-ntfs-3g-probe', 'true', device)).toString('latin1').trim();
    if (status !== '0') return NTFS_PROBLEMS[status] ?? 'ntfs-3g.probe cannot make sense of it';
  }
  await shell.send('-mount-options', kind === 'ntfs' ? '' : 'ro', device, '/');
  const mounts = (await shell.send('mounts')).toString('latin1').trim();
  if (mounts === '') return 'its driver cannot mount it';
  await shell.send('-fstrim', '/');
  await shell.send('umount-all');
  return undefined;
}
