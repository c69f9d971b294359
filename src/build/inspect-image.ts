import { messageOf } from '../errors.js';
import { type GuestPackages, countPackages } from '../guest/count-packages.js';
import { type DeviceTable, readDeviceTable } from '../guest/find-device.js';
import { type GuestRoot, openSystem, withoutParts } from '../guest/find-root.js';
import type { GuestFiles } from '../guest/guest.js';
import { type GuestDetails, readGuestDetails } from '../guest/guest-details.js';
import { type GuestVolume, listVolumes } from '../guest/volume.js';
import type { ByteSource } from '../io/byte-source.js';
import { type DescribedPartition, describeDisk } from './describe-disk.js';
import { type BootSupport, readBootSupport } from './boot-support.js';
import { partitionPurpose } from './partition-types.js';

type Volume = GuestVolume<DescribedPartition>;

/** A place of a disk that holds something. Sizes in bytes. */
export interface InspectedVolume {
  /** The number of the partition, 0 for the whole disk, or `group/volume` of an LVM volume. */
  readonly id: string;
  /** The partition that it is or is in. */
  readonly partition: number;
  /** Bytes of the partition or volume. */
  readonly size: number;
  /** `ext4`, `xfs`, `vfat`, `swap`, `ntfs`, ..., `unknown`. */
  readonly content: string;
  /** Bytes in the filesystem that are taken and free; undefined where its first bytes do not tell. */
  readonly used: number | undefined;
  readonly free: number | undefined;
  readonly label: string | undefined;
  readonly uuid: string | undefined;
  /** What the partition table says that it is for. */
  readonly purpose: string | undefined;
  /** The partition's own name and GUID, in a GPT. */
  readonly partitionName: string | undefined;
  readonly partitionGuid: string | undefined;
  /** Why it could not be looked into. */
  readonly problem: string | undefined;
}

/** A line of a system's fstab that mounts a disk. */
export interface InspectedMount {
  readonly mountPoint: string;
  /** As fstab names it. */
  readonly device: string;
  readonly type: string;
  /** The volume that this is; undefined when it is not on this disk. */
  readonly volume: string | undefined;
  /** Why files on it could not be looked at. */
  readonly problem: string | undefined;
}

/** An operating system on a disk. */
export interface InspectedSystem extends GuestDetails {
  /** The volume of its root filesystem. */
  readonly root: string;
  readonly type: 'linux';
  /** os-release's ID: `debian`. Undefined when the distribution is not known. */
  readonly distro: string | undefined;
  readonly family: string | undefined;
  readonly productName: string | undefined;
  readonly version: string | undefined;
  readonly codename: string | undefined;
  readonly arch: string | undefined;
  readonly init: string;
  readonly packageManager: string | undefined;
  readonly packages: GuestPackages | undefined;
  readonly selinux: { readonly mode: string; readonly policy: string } | undefined;
  readonly mounts: readonly InspectedMount[];
}

/** What is on a disk. */
export interface InspectedDisk {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly table: 'gpt' | 'mbr' | 'none';
  readonly boot: BootSupport;
  readonly systems: readonly InspectedSystem[];
  readonly volumes: readonly InspectedVolume[];
}

/**
 * Finds out what operating systems are on a disk, from its files, with few and small reads. Damage of one filesystem is a problem of
 * that volume and does not hide the others.
 *
 * @throws TSB_PARTITION_TABLE when the partition table is damaged, and what reading the disk throws
 */
export async function inspectDisk(disk: ByteSource, signal?: AbortSignal): Promise<InspectedDisk> {
  const { table: kind, partitions } = await describeDisk(disk, signal);
  const volumes = await listVolumes(disk, partitions, signal);
  const table = await readDeviceTable(disk, volumes, signal);
  const found: { root: GuestRoot<DescribedPartition>; system: InspectedSystem }[] = [];
  const problems = new Map<Volume, string>();
  for (const volume of volumes) {
    try {
      const system = await inspectVolume(disk, { table, volume }, signal);
      if (system) found.push(system);
    } catch (error) {
      signal?.throwIfAborted();
      problems.set(volume, messageOf(error));
    }
  }
  const roots = withoutParts(found.map(({ root }) => root));
  return {
    name: disk.name,
    size: disk.size,
    table: kind,
    boot: await readBootSupport(disk, { partitions, signal }),
    systems: found.filter(({ root }) => roots.includes(root)).map(({ system }) => system),
    volumes: volumes.map((volume) => describeVolume(volume, problems.get(volume))),
  };
}

async function inspectVolume(
  disk: ByteSource,
  where: { table: DeviceTable<Volume>; volume: Volume },
  signal: AbortSignal | undefined,
): Promise<{ root: GuestRoot<DescribedPartition>; system: InspectedSystem } | undefined> {
  const opened = await openSystem(disk, where, signal);
  if (!opened) return undefined;
  return { root: opened.root, system: await inspectSystem(opened.root, opened.reachable) };
}

async function inspectSystem({ os, volume, mounts }: GuestRoot, files: GuestFiles): Promise<InspectedSystem> {
  const { distro, arch, init, packageManager, selinux } = os;
  return {
    root: volume.id,
    type: 'linux',
    distro: distro?.id,
    family: distro?.family,
    productName: distro?.name,
    version: distro?.version,
    codename: distro?.codename,
    arch,
    init,
    packageManager,
    packages: await countPackages(files, packageManager),
    selinux,
    ...(await readGuestDetails(files)),
    mounts: [
      {
        mountPoint: '/',
        device: deviceOfRoot(os.fstab),
        type: volume.content.name,
        volume: volume.id,
        problem: undefined,
      },
      ...mounts.map(({ mountPoint, device, type, volume: on, obstacle }) => ({
        mountPoint,
        device,
        type: on?.range ? on.content.name : type,
        volume: on?.id,
        problem: obstacle ?? (on ? undefined : 'it is not on this disk'),
      })),
    ],
  };
}

function deviceOfRoot(fstab: GuestRoot['os']['fstab']): string {
  return fstab.find(({ mountPoint }) => mountPoint === '/')?.device ?? '';
}

function describeVolume(volume: Volume, problem: string | undefined): InspectedVolume {
  const { id, partition, size, lvm, content, obstacle } = volume;
  const { freeBytes, label, uuid } = content;
  const filled = content.size === undefined || freeBytes === undefined ? undefined : content.size - freeBytes;
  return {
    id,
    partition: partition.number,
    size,
    content: content.name,
    used: filled,
    free: freeBytes,
    label: label === '' ? undefined : label,
    uuid: uuid === '' ? undefined : uuid,
    purpose: lvm ? undefined : partitionPurpose(partition.type),
    partitionName: lvm ? undefined : partition.name,
    partitionGuid: lvm ? undefined : partition.guid,
    problem: problem ?? obstacle,
  };
}
