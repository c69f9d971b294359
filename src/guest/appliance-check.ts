import { sectorSizeOption } from '../io/guestfish.js';
import { type LaunchOptions, hostPath, launchAppliance } from './appliance-launch.js';

/** A raw disk that is only read. */
export interface CheckedDisk {
  readonly path: string;
  readonly sectorSize: number;
}

/**
 * Has xfs_repair look through XFS filesystems of a disk in a libguestfs appliance; it changes nothing.
 *
 * @param devices as the appliance calls them: `/dev/sda2`, `/dev/vg/root`
 * @returns those in which it found something
 * @throws TSB_TOOL_FAILED when the appliance does not start or fails, TSB_TOOL_MISSING
 */
export async function damagedXfs(
  { path, sectorSize }: CheckedDisk,
  devices: readonly string[],
  options: Omit<LaunchOptions, 'image'>,
): Promise<string[]> {
  const drive = [
    'add-drive',
    hostPath(path),
    'format:raw',
    'readonly:true',
    ...sectorSizeOption(sectorSize),
  ] as const;
  await using shell = await launchAppliance([['set-network', 'false'], drive], { ...options, image: path });
  const damaged: string[] = [];
  for (const device of devices) {
    const status = (await shell.send('xfs-repair', device, 'nomodify:true')).toString('latin1').trim();
    if (status !== '0') damaged.push(device);
  }
  await shell.send('shutdown');
  await shell.end();
  return damaged;
}
