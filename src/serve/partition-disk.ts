import { TsbuilderError } from '../errors.js';
import { type DiskSource, sliceDisk } from '../io/disk-source.js';
import { formatSize } from '../io/format-size.js';
import { readPartitionTable } from '../resize/partition-table.js';
import type { Partition } from '../resize/partition.js';

/**
 * One partition of `disk`, by the number that Linux gives it. Disposing it disposes `disk`.
 *
 * @throws TSB_PARTITION_NOT_FOUND with the partitions that there are, TSB_PARTITION_TABLE when the table is damaged or the partition
 *   leaves the disk. `disk` stays open then
 */
export async function openPartition(
  disk: DiskSource,
  number: number,
  signal?: AbortSignal,
): Promise<DiskSource> {
  const table = await readPartitionTable(disk, { signal });
  if (!table) throw notFound(disk, `has no partition table, so no partition ${number}`, []);
  const places = table.partitions.filter(({ role }) => role !== 'extended');
  const found = table.partitions.find((partition) => partition.number === number);
  if (!found) throw notFound(disk, `has no partition ${number}`, places);
  if (found.role === 'extended')
    throw notFound(disk, `partition ${number} is the extended partition, which only holds others`, places);
  return sliceDisk(disk, found.offset, found.length);
}

function notFound(disk: DiskSource, problem: string, places: readonly Partition[]): TsbuilderError {
  const list = places.map(({ number, length }) => `${number} (${formatSize(length)})`).join(', ');
  return new TsbuilderError('TSB_PARTITION_NOT_FOUND', `${disk.name}: ${problem}`, {
    hint: list === '' ? 'Leave the partition away to get the whole disk.' : `The disk has ${list}.`,
    details: { partitions: places.map(({ number }) => number).join(',') },
  });
}
