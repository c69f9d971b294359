import { TsbuilderError } from '../errors.js';
import type { IdChange } from '../customize/id-text.js';
import { type GuestVolume, listVolumes } from '../guest/volume.js';
import type { ByteSource } from '../io/byte-source.js';
import type { RandomSource } from '../io/random.js';
import { type TableIds, tableIds } from '../resize/disk-ids.js';
import { type PartitionTable, readPartitionTable } from '../resize/partition-table.js';
import { type DescribedPartition, describeDisk } from './describe-disk.js';

/** A filesystem and the id that it gets. */
export interface VolumeId {
  readonly volume: GuestVolume<DescribedPartition>;
  readonly id: string;
}

/** All ids of a disk and what takes their places. */
export interface DiskIdPlan {
  readonly table: PartitionTable | undefined;
  readonly tableIds: TableIds | undefined;
  readonly volumes: readonly VolumeId[];
  readonly partitions: readonly DescribedPartition[];
  readonly changes: readonly IdChange[];
}

/** What is on disks to boot from BIOS, and no filesystem. */
const BIOS_BOOT = '21686148-6449-6E6F-744E-656564454649';
/** So much of a partition is looked at to tell whether it is empty. */
const EMPTY_PROBE = 1024 * 1024;

/**
 * Makes up new ids for a disk: of the disk, its partitions and its filesystems. Only reads.
 *
 * @throws TSB_GUEST for content whose id cannot be changed, or ids that are not different from each other
 */
export async function planDiskIds(
  disk: ByteSource,
  random: RandomSource,
  signal: AbortSignal,
): Promise<DiskIdPlan> {
  const table = await readPartitionTable(disk, { signal });
  const { partitions } = await describeDisk(disk, signal);
  const found = await listVolumes(disk, partitions, signal);
  for (const volume of found) await assertKnown(disk, volume, signal);
  const old = table && tableIds(table);
  const volumes = found.flatMap((volume) => newVolumeId(volume, random));
  const ids = table && newTableIds(table, tableIds(table), random);
  const changes = [
    ...volumes.map(({ volume, id }) => filesystemChange(volume, id)),
    ...(old && ids ? tableChanges(old, ids) : []),
  ];
  assertDifferent(disk.name, changes);
  return { table, tableIds: ids, volumes, partitions, changes };
}

async function assertKnown(
  disk: ByteSource,
  volume: GuestVolume<DescribedPartition>,
  signal: AbortSignal,
): Promise<void> {
  const { content, partition, label, range } = volume;
  const isPlain = !volume.lvm && ['ext', 'fat', 'swap', 'squashfs'].includes(content.kind);
  const features = content.features ?? [];
  if (isPlain && !features.includes('encrypt') && range) return;
  if (content.kind === 'unknown' && content.name === 'unknown' && range) {
    if (partition.type === BIOS_BOOT) return;
    const start = await disk.read(range.offset, Math.min(EMPTY_PROBE, range.length), signal);
    if (start.every((byte) => byte === 0)) return;
  }
  const what = content.name === 'unknown' ? 'something that is not recognised' : content.name;
  throw new TsbuilderError(
    'TSB_GUEST',
    `${disk.name}: the disk cannot get new ids: ${label} holds ${volume.lvm ? 'a part of LVM' : what}, whose id cannot be changed`,
    {
      hint: 'Only ext2, ext3, ext4, FAT and swap on plain partitions can get new ids: leave --disk-uuid away.',
      details: { reason: 'disk-id', where: label },
    },
  );
}

function newVolumeId(volume: GuestVolume<DescribedPartition>, random: RandomSource): VolumeId[] {
  const { content, id } = volume;
  if (content.uuid === undefined || content.uuid === '') return [];
  const label = `disk-uuid filesystem ${id}`;
  if (content.kind !== 'fat') return [{ volume, id: random.uuid(label) }];
  const serial = random.bytes(4, label).toString('hex').toUpperCase();
  return [{ volume, id: serial.replace(/^(.{4})/, '$1-') }];
}

function newTableIds(table: PartitionTable, old: TableIds, random: RandomSource): TableIds {
  const guid = (label: string): string => random.uuid(`disk-uuid ${label}`).toUpperCase();
  const partitions = new Map(
    [...old.partitions.keys()].map((number) => [number, guid(`partition ${number}`)]),
  );
  if (table.kind === 'gpt') return { disk: guid('disk'), partitions };
  return { disk: old.disk && random.bytes(4, 'disk-uuid disk').toString('hex'), partitions };
}

function filesystemChange({ content, label }: GuestVolume, to: string): IdChange {
  const form = content.kind === 'fat' ? 'serial' : 'uuid';
  return { what: `the ${content.name} filesystem on ${label}`, form, from: content.uuid ?? '', to };
}

function tableChanges(old: TableIds, ids: TableIds): IdChange[] {
  const form = old.partitions.size > 0 || old.disk?.includes('-') ? 'uuid' : 'signature';
  const disk =
    old.disk !== undefined && ids.disk !== undefined
      ? [{ what: 'the disk', form, from: old.disk, to: ids.disk } as const]
      : [];
  return [
    ...disk,
    ...[...old.partitions].flatMap(([number, from]): IdChange[] => {
      const to = ids.partitions.get(number);
      return to === undefined ? [] : [{ what: `partition ${number}`, form: 'uuid', from, to }];
    }),
  ];
}

/** With one id for two things, which of them a file means cannot be told. */
function assertDifferent(name: string, changes: readonly IdChange[]): void {
  const seen = new Map<string, IdChange>();
  for (const change of changes) {
    const key = change.from.toLowerCase();
    const other = seen.get(key);
    if (other) {
      throw new TsbuilderError(
        'TSB_GUEST',
        `${name}: the disk cannot get new ids: ${other.what} and ${change.what} have the same one, ${change.from}`,
        { details: { reason: 'disk-id' } },
      );
    }
    seen.set(key, change);
  }
}
