import { type ByteSource, sliceSource } from '../io/byte-source.js';
import { type LogicalVolume, type VolumeGroup, readVolumeGroup } from '../probe/lvm.js';
import { probeContent } from '../probe/probe-content.js';
import type { Range } from '../probe/range.js';
import type { Content } from '../probe/superblocks.js';

/** A partition that may have a guest's filesystem; the whole disk is number 0. */
export interface GuestPartition {
  readonly number: number;
  /** Bytes from the disk's beginning. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** GPT only: its own GUID, and its name. */
  readonly guid?: string | undefined;
  readonly name?: string | undefined;
}

/** A place of a disk that can hold a filesystem: a partition, the whole disk, or an LVM volume. */
export interface GuestVolume<P extends GuestPartition = GuestPartition> {
  /** For messages: `partition 2`, `the whole disk`, `LVM volume vg/root`. */
  readonly label: string;
  /** What a user calls it: `2`, `vg/root`. */
  readonly id: string;
  /** The partition that it is or that it is in. */
  readonly partition: P;
  readonly lvm?:
    { readonly group: string; readonly groupId?: string | undefined; readonly volume: string } | undefined;
  /** Bytes. */
  readonly size: number;
  /** Where it is on the disk; undefined for an LVM volume that is not in one piece there. */
  readonly range: Range | undefined;
  /** What it holds; kind `unknown` when it is not in one piece. */
  readonly content: Content;
  /** Why nothing can be read from it. */
  readonly obstacle?: string | undefined;
}

const UNKNOWN: Content = { kind: 'unknown', name: 'unknown' };

/**
 * The places of a disk that can hold filesystems: its partitions, and instead of LVM physical volumes the logical volumes in them.
 * Few and small reads. LVM metadata that is damaged makes an entry with an obstacle.
 */
export async function listVolumes<P extends GuestPartition>(
  disk: ByteSource,
  partitions: readonly P[],
  signal?: AbortSignal,
): Promise<GuestVolume<P>[]> {
  const volumes: GuestVolume<P>[] = [];
  for (const partition of partitions) {
    const { number, offset, length } = partition;
    if (offset + length > disk.size) continue;
    const label = number === 0 ? 'the whole disk' : `partition ${number}`;
    const content = await probeContent(disk, { offset, length }, signal);
    const range = { offset, length };
    const own = { label, id: String(number), partition, size: length, range, content };
    if (content.kind === 'lvm-pv') volumes.push(...(await logicalVolumes(disk, own, signal)));
    else volumes.push(own);
  }
  return eachOnce(volumes);
}

/** Every physical volume of a group has the metadata of all: a logical volume is what the one says that it is on, where it is in one piece. */
function eachOnce<P extends GuestPartition>(volumes: readonly GuestVolume<P>[]): GuestVolume<P>[] {
  const keyOf = ({ lvm }: GuestVolume): string => JSON.stringify(lvm);
  const placed = new Set(volumes.filter(({ lvm, range }) => lvm && range).map(keyOf));
  return volumes.filter((volume) => {
    if (!volume.lvm || volume.range) return true;
    const isNew = !placed.has(keyOf(volume));
    placed.add(keyOf(volume));
    return isNew;
  });
}

async function logicalVolumes<P extends GuestPartition>(
  disk: ByteSource,
  physical: GuestVolume<P> & { readonly range: Range },
  signal: AbortSignal | undefined,
): Promise<GuestVolume<P>[]> {
  try {
    const group = await readVolumeGroup(disk, physical.range, signal);
    if (!group) return [physical];
    const visible = group.volumes.filter((volume) => volume.visible);
    const found: GuestVolume<P>[] = [];
    for (const volume of visible) {
      const content = volume.range ? await probeContent(disk, volume.range, signal) : UNKNOWN;
      found.push(logicalVolume(physical.partition, { group, volume, content }));
    }
    return found.length > 0 ? found : [physical];
  } catch (error) {
    signal?.throwIfAborted();
    return [{ ...physical, obstacle: error instanceof Error ? error.message : String(error) }];
  }
}

function logicalVolume<P extends GuestPartition>(
  partition: P,
  found: { group: VolumeGroup; volume: LogicalVolume; content: Content },
): GuestVolume<P> {
  const { group, volume, content } = found;
  const { name, size, range } = volume;
  const label = `LVM volume ${group.name}/${name}`;
  const base = {
    label,
    id: `${group.name}/${name}`,
    partition,
    lvm: { group: group.name, groupId: group.id, volume: name },
    size,
    range,
    content,
  };
  return range ? base : { ...base, obstacle: `${label} is not in one piece on this disk: ${shape(volume)}` };
}

function shape({ segments, types }: LogicalVolume): string {
  return `${segments} ${segments === 1 ? 'segment' : 'segments'} of type ${types.join(', ')}`;
}

/** The bytes of a volume, named for messages; undefined when it is not in one piece. Disposing them leaves the disk open. */
export function volumeSource(
  disk: ByteSource,
  { range, label, partition }: GuestVolume,
): ByteSource | undefined {
  if (!range) return undefined;
  const name = partition.number === 0 && range.offset === 0 ? disk.name : `${disk.name}, ${label}`;
  return { ...sliceSource(disk, range.offset, range.length), name };
}
