import { TsbuilderError } from '../../errors.js';
import type { ByteSource } from '../../io/byte-source.js';
import { openExtFiles } from '../ext/open-ext-guest.js';
import type { GuestFiles } from '../guest.js';
import { isMissing } from '../read-files.js';
import { type GuestVolume, volumeSource } from '../volume.js';
import { type AbsentMount, type Mount, type MountTable, isInside } from './mount.js';
import { mountedFiles } from './mounted-files.js';
import type { PlannedMount } from './plan-mounts.js';

/** Opens the root filesystem of a guest and everything that its fstab mounts, for reading. */
export function openMountTable(
  disk: ByteSource,
  root: GuestFiles,
  options: { readonly mounts: readonly PlannedMount[]; readonly signal?: AbortSignal | undefined },
): Promise<MountTable> {
  return mountAll(root, options.mounts, async (_, volume) => {
    const source = volumeSource(disk, volume);
    return source && (await openExtFiles(source, options.signal));
  });
}

/**
 * Puts filesystems at their places below `root`. Links in a mount point are followed inside the guest. A filesystem that is damaged or
 * must not be used is there as an obstacle; one that is not on this disk is `absent`, unless the guest does without. What is below the
 * mount points of these can be used, until `enterAbsent` is replaced.
 *
 * @param open the files of a volume that will be mounted at `point`
 */
export async function mountAll<F extends GuestFiles>(
  root: F,
  planned: readonly PlannedMount[],
  open: (point: string, volume: GuestVolume) => Promise<F | undefined>,
): Promise<MountTable<F>> {
  const base = { point: '/', files: root };
  const mounts: Mount<F>[] = [base];
  const away: AbsentMount[] = [];
  const table: MountTable<F> = { root: base, mounts, absent: away, enterAbsent: () => undefined };
  for (const { mountPoint, volume, obstacle, absent } of planned) {
    if (!volume && obstacle === undefined && absent === undefined) continue;
    const point = await placeOf(table, mountPoint);
    if (point === undefined || mounts.some((mount) => isInside(mount.point, point))) continue;
    if (absent !== undefined) away.push({ point, why: absent });
    else mounts.push({ point, ...(await openOrObstacle(point, { volume, obstacle }, open)) });
  }
  return table;
}

/** Undefined for a mount point that cannot be: the guest would not mount it either. */
async function placeOf(table: MountTable, mountPoint: string): Promise<string | undefined> {
  try {
    const point = await mountedFiles(table).realPath(mountPoint);
    return point === '/' ? undefined : point;
  } catch (error) {
    if (isMissing(error) || isUnreachable(error)) return mountPoint;
    throw error;
  }
}

async function openOrObstacle<F extends GuestFiles>(
  point: string,
  planned: Pick<PlannedMount, 'volume' | 'obstacle'>,
  open: (point: string, volume: GuestVolume) => Promise<F | undefined>,
): Promise<Pick<Mount<F>, 'files' | 'obstacle'>> {
  const { volume, obstacle } = planned;
  if (!volume || obstacle !== undefined) return { files: undefined, obstacle };
  try {
    return { files: await open(point, volume) };
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_FILESYSTEM') throw error;
    return { files: undefined, obstacle: error.message };
  }
}

/** Whether a path cannot be used because it enters a filesystem that cannot be reached. */
function isUnreachable(error: unknown): boolean {
  return error instanceof TsbuilderError && error.details['reason'] === 'other-filesystem';
}
