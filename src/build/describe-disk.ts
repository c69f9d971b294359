import type { ByteSource } from '../io/byte-source.js';
import { type PartitionTable, readPartitionTable } from '../resize/partition-table.js';
import { probeContent } from '../probe/probe-content.js';
import type { Content } from '../probe/superblocks.js';

/** One partition of a disk and what is in it. Number 0 is a filesystem on the whole disk. */
export interface DescribedPartition {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
  readonly type: string | undefined;
  readonly name: string | undefined;
  readonly guid: string | undefined;
  readonly content: Content;
}

/** The layout of a disk: sizes and offsets in bytes. */
export interface DescribedDisk {
  readonly table: 'gpt' | 'mbr' | 'none';
  readonly sectorSize: number | undefined;
  readonly partitions: readonly DescribedPartition[];
}

/**
 * Reads the partition table and the start of every partition.
 *
 * @throws TSB_PARTITION_TABLE when the table is damaged
 */
export async function describeDisk(disk: ByteSource, signal?: AbortSignal): Promise<DescribedDisk> {
  const table = await readPartitionTable(disk, { signal });
  if (!table) return { table: 'none', sectorSize: undefined, partitions: await wholeDisk(disk, signal) };
  return { table: table.kind, sectorSize: table.sectorSize, partitions: await inTable(disk, table, signal) };
}

async function inTable(
  disk: ByteSource,
  table: PartitionTable,
  signal: AbortSignal | undefined,
): Promise<DescribedPartition[]> {
  const described: DescribedPartition[] = [];
  for (const partition of table.partitions) {
    if (partition.role === 'extended') continue;
    const { number, offset, length, type, name, guid } = partition;
    const content = await probeContent(disk, { offset, length }, signal);
    described.push({ number, offset, length, type, name, guid, content });
  }
  return described;
}

async function wholeDisk(disk: ByteSource, signal: AbortSignal | undefined): Promise<DescribedPartition[]> {
  const range = { offset: 0, length: disk.size };
  const content = await probeContent(disk, range, signal);
  if (content.kind === 'unknown') return [];
  return [{ number: 0, ...range, type: undefined, name: undefined, guid: undefined, content }];
}
