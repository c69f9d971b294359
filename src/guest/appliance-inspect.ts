import { sectorSizeOption } from '../io/guestfish.js';
import { type LaunchOptions, hostPath, launchAppliance } from './appliance-launch.js';

/** A disk that is only read. */
export interface InspectedImage {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  readonly sectorSize: number;
}

/** What libguestfs says of a system. */
export interface ApplianceSystem {
  /** Where its root filesystem is: `/dev/sda2`, `/dev/vg/root`. */
  readonly device: string;
  readonly arch: string | undefined;
  readonly productName: string | undefined;
  readonly osinfo: string | undefined;
}

/**
 * Finds the systems on a disk, of whatever kind, by the inspection of libguestfs in an appliance. The disk is not changed.
 *
 * @throws TSB_TOOL_FAILED when the appliance does not start or fails, TSB_TOOL_MISSING
 */
export async function inspectInAppliance(
  { path, format, sectorSize }: InspectedImage,
  options: Omit<LaunchOptions, 'image'>,
): Promise<ApplianceSystem[]> {
  const how = [`format:${format}`, 'readonly:true', ...sectorSizeOption(sectorSize)];
  const drive = ['add-drive', hostPath(path), ...how] as const;
  await using shell = await launchAppliance([['set-network', 'false'], drive], { ...options, image: path });
  const ask = async (command: string, ...words: string[]): Promise<string | undefined> => {
    const answer = (await shell.send(command, ...words)).toString('utf8').trim();
    return answer === 'unknown' || answer === '' ? undefined : answer;
  };
  const systems: ApplianceSystem[] = [];
  for (const root of (await ask('inspect-os'))?.split('\n') ?? [])
    systems.push({
      device: deviceOf(root),
      arch: await ask('inspect-get-arch', root),
      productName: named(await ask('inspect-get-product-name', root), await ask('inspect-get-distro', root)),
      osinfo: await ask('inspect-get-osinfo', root),
    });
  await shell.send('shutdown');
  await shell.end();
  return systems;
}

/** Of Debian, libguestfs knows no name but the number in /etc/debian_version. */
function named(product: string | undefined, distro: string | undefined): string | undefined {
  return product !== undefined && /^\d/.test(product) ? `${distro ?? 'Linux'} ${product}` : product;
}

/** The device that a root is on, which may be a subvolume of btrfs there: `btrfsvol:/dev/sda2/root`. */
function deviceOf(root: string): string {
  return /^btrfsvol:(\/dev\/[^/]+)/.exec(root)?.[1] ?? root;
}
