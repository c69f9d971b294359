import type { GuestfishShell } from './appliance-shell.js';
import { isSystemName } from './choose-root.js';
import type { DeviceTable } from './find-device.js';
import type { GuestVolume } from './volume.js';

/** A filesystem that an appliance sees. Offsets, lengths and sizes are not known. */
export interface ApplianceVolume extends GuestVolume {
  /** Its device in the appliance: `/dev/sda2`, `/dev/vg/root`. */
  readonly device: string;
}

/** A disk that is attached beside the guest's: the second one and later ones. */
export const ATTACHED = /^\/dev\/sd([b-z]|[a-z]{2})\d*$/;

/** The filesystems on the first disk of an appliance and what is made of its partitions (LVM, RAID), as blkid describes them. */
export async function applianceVolumes(shell: GuestfishShell): Promise<DeviceTable<ApplianceVolume>> {
  const attached = await groupsElsewhere(shell);
  const volumes: ApplianceVolume[] = [];
  for (const [device, type] of await fields(shell, 'list-filesystems')) {
    const lvm = logicalVolume(device);
    if (!device.startsWith('/dev/') || ATTACHED.test(device) || (lvm && attached.has(lvm.group))) continue;
    volumes.push(await describe(shell, { device, type, lvm }));
  }
  return { volumes, mbrId: undefined };
}

async function describe(
  shell: GuestfishShell,
  { device, type, lvm }: { device: string; type: string; lvm: ApplianceVolume['lvm'] },
): Promise<ApplianceVolume> {
  const facts = new Map(await fields(shell, 'blkid', device));
  const text = async (command: string): Promise<string> =>
    (await shell.send(command, device)).toString('utf8').replace(/\n$/, '');
  const number = /^\/dev\/sda(\d*)$/.exec(device)?.[1];
  const place = { number: number === undefined ? -1 : Number(number), offset: 0, length: 0 };
  return {
    device,
    label: device,
    id: device,
    // Of a DOS table this is the disk's identifier and the number, just as fstab writes it.
    partition: { ...place, guid: facts.get('PART_ENTRY_UUID'), name: facts.get('PART_ENTRY_NAME') },
    lvm,
    size: 0,
    range: undefined,
    content: { kind: 'unknown', name: type, uuid: await text('vfs-uuid'), label: await text('vfs-label') },
  };
}

/**
 * The lines `KEY: value` that guestfish prints for a table. Values of blkid have a backslash before what is special. A key that is
 * there twice is left out: a line break in a filesystem's label could have made one of them.
 */
async function fields(
  shell: GuestfishShell,
  command: string,
  ...words: string[]
): Promise<[string, string][]> {
  const lines = (await shell.send(command, ...words)).toString('utf8').split('\n');
  const pairs = lines.flatMap((line): [string, string][] => {
    const at = line.indexOf(': ');
    return at <= 0 ? [] : [[line.slice(0, at), line.slice(at + 2).replace(/\\(.)/g, '$1')]];
  });
  return pairs.filter(([key]) => pairs.filter(([other]) => other === key).length === 1);
}

/** Whether `wanted` names the system whose root is on `device`, as libguestfs calls it: `/dev/sda2`, `/dev/vg/root`, `btrfsvol:/dev/sda2/@`. */
export function isSystemOn(device: string, wanted: string): boolean {
  const place = device.replace(/^btrfsvol:(\/dev\/sd[a-z]+\d*)\/.*$/, '$1');
  const number = /^\/dev\/sda(\d*)$/.exec(place)?.[1];
  return isSystemName(wanted, { number: Number(number ?? -1), lvm: logicalVolume(place) });
}

/** The names of LVM: `/dev/group/volume`. */
function logicalVolume(device: string): ApplianceVolume['lvm'] {
  const match = /^\/dev\/([^/]+)\/([^/]+)$/.exec(device);
  if (!match?.[1] || !match[2] || ['mapper', 'md', 'disk'].includes(match[1])) return undefined;
  return { group: match[1], volume: match[2] };
}

/** Volume groups that are on attached disks, wholly or in part: what is written there would be lost. */
async function groupsElsewhere(shell: GuestfishShell): Promise<Set<string>> {
  const lines = async (command: string, ...words: string[]): Promise<string[]> =>
    (await shell.send(command, ...words)).toString('latin1').split('\n').filter(Boolean);
  const physical = (await lines('pvs')).filter((device) => ATTACHED.test(device));
  const foreign: string[] = [];
  for (const device of physical) foreign.push(...(await lines('pvuuid', device)).map(plainUuid));
  const groups = new Set<string>();
  if (foreign.length === 0) return groups;
  for (const group of await lines('vgs')) {
    const uuids = (await lines('vgpvuuids', group)).map(plainUuid);
    if (uuids.some((uuid) => foreign.includes(uuid))) groups.add(group);
  }
  return groups;
}

/** Some of guestfish's commands print the dashes of LVM's identifiers, some do not. */
const plainUuid = (uuid: string): string => uuid.replaceAll('-', '').trim();
