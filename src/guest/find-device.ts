import type { ByteSource } from '../io/byte-source.js';
import type { GuestVolume } from './volume.js';

/** What the names of devices are looked up in. */
export interface DeviceTable<V extends GuestVolume = GuestVolume> {
  readonly volumes: readonly V[];
  /** The identifier of a disk with a DOS partition table: eight hexadecimal digits. */
  readonly mbrId: string | undefined;
}

/** The table of a disk whose volumes are known. */
export async function readDeviceTable<V extends GuestVolume>(
  disk: ByteSource,
  volumes: readonly V[],
  signal?: AbortSignal,
): Promise<DeviceTable<V>> {
  const id = disk.size < 512 ? 0 : Buffer.from(await disk.read(440, 4, signal)).readUInt32LE();
  return { volumes, mbrId: id === 0 ? undefined : id.toString(16).padStart(8, '0') };
}

/**
 * The volume that `device` of a fstab(5) means: `UUID=`, `LABEL=`, `PARTUUID=`, `PARTLABEL=` and the links below /dev/disk, LVM's names,
 * and the names of a machine's first disk (`/dev/sda2`, `/dev/vda2`, `/dev/nvme0n1p2`, ...). Undefined when there is none on this disk,
 * or several have that name.
 */
export function findDevice<V extends GuestVolume>(table: DeviceTable<V>, device: string): V | undefined {
  const matches = matcherOf(device, table);
  const found = matches ? table.volumes.filter(matches) : [];
  return found.length === 1 ? found[0] : undefined;
}

type Matcher = (volume: GuestVolume) => boolean;

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase() && b !== '';

function matcherOf(device: string, table: DeviceTable): Matcher | undefined {
  const tag = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.*)$/i.exec(device);
  if (tag) return byTag(tag[1] ?? '', (tag[2] ?? '').replace(/^(["'])(.*)\1$/, '$2'), table);
  const link = /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/.exec(device);
  if (link) return byTag(link[1] ?? '', unescapeUdev(link[2] ?? ''), table);
  const part =
    /^\/dev\/disk\/by-(?:id|path)\/.*-part(\d+)$/.exec(device) ??
    /^\/dev\/(?:[shv]da|xvda|ubda|nvme0n1p|mmcblk0p|vblk0p)(\d*)$/.exec(device);
  if (part) return byNumber(Number(part[1]));
  const mapped = /^\/dev\/mapper\/(.+)$/.exec(device)?.[1];
  if (mapped !== undefined) return ({ lvm }) => lvm !== undefined && mapperName(lvm) === mapped;
  return ({ lvm }) => lvm !== undefined && device === `/dev/${lvm.group}/${lvm.volume}`;
}

function byTag(tag: string, value: string, { mbrId }: DeviceTable): Matcher {
  if (/^uuid$/i.test(tag)) return ({ content }) => same(content.uuid, value);
  if (/^label$/i.test(tag)) return ({ content }) => content.label === value && value !== '';
  if (/^partlabel$/i.test(tag)) return plain(({ name }) => name === value && value !== '');
  const dos = /^([0-9a-f]{8})-([0-9a-f]{2,})$/i.exec(value);
  if (dos && same(mbrId, dos[1] ?? '')) return byNumber(parseInt(dos[2] ?? '', 16));
  return plain(({ guid }) => same(guid, value));
}

/** A partition itself, not an LVM volume in it. */
function plain(matches: (partition: GuestVolume['partition']) => boolean): Matcher {
  return ({ partition, lvm }) => lvm === undefined && matches(partition);
}

const byNumber = (number: number): Matcher => plain((partition) => partition.number === number);

/** The name that device-mapper gives a volume: each dash in a name is doubled. */
export function mapperName({ group, volume }: { group: string; volume: string }): string {
  return `${group.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}`;
}

/** udev writes a byte that a file's name should not have as `\x20`. */
function unescapeUdev(name: string): string {
  return Buffer.from(
    name.replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');
}
