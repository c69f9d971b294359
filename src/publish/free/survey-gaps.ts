import type { ByteSource } from '../../io/byte-source.js';
import { createRangeSet } from '../../image/range-set.js';
import { type Range, endOf } from '../../probe/range.js';
import type { PartitionTable } from '../../resize/partition-table.js';
import type { DiskRegion } from './disk-survey.js';

/** Firmware RAID, Windows' dynamic disks and the backup of a GPT that there once was keep their data here. */
const END_KEPT = 1024 * 1024;

/**
 * The regions of a disk outside its partitions: the table, and what no partition has. In front of the first partition are
 * boot loaders (GRUB behind an MBR, those of small ARM machines also behind a GPT), at the very end are things that no table names:
 * both are left. Of a table that is unusual nothing is taken as free.
 */
export function surveyGaps(disk: ByteSource, table: PartitionTable): DiskRegion[] {
  const places = table.partitions.filter(({ role }) => role !== 'extended');
  const first = Math.min(disk.size, ...table.partitions.map(({ offset }) => offset));
  const last = Math.max(first, disk.size - END_KEPT, ...places.map(endOf));
  const tables = tableRanges(table, disk.size);
  const taken = createRangeSet();
  for (const { offset, length } of [...places, ...tables]) taken.add(offset, length);
  const gaps = [...taken.gaps(disk.size)].flatMap((gap) =>
    splitAt(gap, [first, last]).map((part) => gapRegion(part, { first, last, notes: table.notes })),
  );
  return [...tables.map((range) => ({ name: 'table', ...range, content: 'table', freeRanges: [] })), ...gaps];
}

/** Where the tables are: whole sectors, none twice, and none inside a partition that begins in the same sector. */
function tableRanges(table: PartitionTable, size: number): Range[] {
  const places = table.partitions.filter(({ role }) => role !== 'extended');
  const occupied = createRangeSet();
  for (const { offset, length } of table.occupied) {
    const end = Math.ceil((offset + length) / table.sectorSize) * table.sectorSize;
    occupied.add(offset, Math.min(end, size) - offset);
  }
  const outside = createRangeSet();
  for (const { offset, length } of [...occupied.gaps(size), ...places]) outside.add(offset, length);
  return [...outside.gaps(size)];
}

function splitAt(range: Range, cuts: readonly number[]): Range[] {
  const inside = cuts.filter((cut) => cut > range.offset && cut < endOf(range));
  const starts = [...new Set([range.offset, ...inside])].sort((a, b) => a - b);
  return starts.map((offset, index) => ({ offset, length: (starts[index + 1] ?? endOf(range)) - offset }));
}

function gapRegion(
  gap: Range,
  { first, last, notes }: { first: number; last: number; notes: readonly string[] },
): DiskRegion {
  const region = { ...gap, content: 'none', freeRanges: [] };
  if (gap.offset < first)
    return { ...region, name: 'start', left: 'in front of the first partition: may hold a boot loader' };
  if (gap.offset >= last) return { ...region, name: 'end', left: 'the end of the disk' };
  if (notes[0] !== undefined) return { ...region, name: 'gap', left: `unusual table: ${notes[0]}` };
  return { ...region, name: 'gap', free: gap.length, freeRanges: [gap] };
}
