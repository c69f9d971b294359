import { TsbuilderError } from '../errors.js';
import { formatSize } from '../io/format-size.js';
import { writeEntry } from './chs.js';
import { type Ebr, type MbrTable, type Partition, endOf } from './partition.js';
import { type Literal, type Relocation, movedOffset, movedPartition } from './relocation.js';

const ENTRIES = 446;
const LINK = ENTRIES + 16;
const MAX_SECTORS = 2 ** 32;

/**
 * Checks that a DOS partition table can describe a disk of `targetSize` bytes.
 *
 * @throws TSB_PARTITION_TABLE above 2 TiB (16 TiB with 4096-byte sectors): sector numbers have 32 bits
 */
export function assertMbrReaches(name: string, table: MbrTable, targetSize: number): void {
  const limit = MAX_SECTORS * table.sectorSize;
  if (targetSize <= limit) return;
  throw new TsbuilderError(
    'TSB_PARTITION_TABLE',
    `${name}: has an MBR partition table, which ends at ${formatSize(limit)} (${limit} bytes); the new disk would have ${formatSize(targetSize)} (${targetSize} bytes)`,
    {
      hint: `Ask for at most ${formatSize(limit)}, or take a template with a GPT.`,
      details: { limit, targetSize },
    },
  );
}

/**
 * The sectors of `table` for the new disk: the master boot record and every extended boot record at its new place. Entries whose
 * partition stays as it is keep every byte; others get new sector numbers and CHS.
 */
export function writeMbr(table: MbrTable, move: Relocation): Literal[] {
  const mbr = Buffer.from(table.mbr);
  for (const partition of table.partitions) {
    if (partition.role === 'logical' || isUnmoved(move, partition)) continue;
    const { offset, length } = movedPartition(move, partition);
    writeEntry(mbr, ENTRIES + 16 * (partition.number - 1), {
      start: offset / table.sectorSize,
      sectors: length / table.sectorSize,
    });
  }
  return [{ offset: 0, data: mbr }, ...table.ebrs.map((ebr) => movedRecord(table, ebr, move))];
}

function isUnmoved(move: Relocation, partition: Partition): boolean {
  const { offset, length } = movedPartition(move, partition);
  return offset === partition.offset && length === partition.length;
}

function movedRecord(table: MbrTable, ebr: Ebr, move: Relocation): Literal {
  const sector = Buffer.from(ebr.sector);
  const at = movedOffset(move, ebr.offset);
  const partition = table.partitions.find(({ number }) => number === ebr.number);
  if (partition) writeLogical(sector, { partition, at, from: ebr.offset }, { table, move });
  const container = table.partitions.find(({ role }) => role === 'extended');
  const next = table.ebrs.find(({ offset }) => offset === ebr.next);
  if (next && container) writeLink(sector, { container, next }, { table, move });
  return { offset: at, data: sector };
}

interface Change {
  readonly table: MbrTable;
  readonly move: Relocation;
}

interface LogicalAt {
  readonly partition: Partition;
  /** New and old place of its EBR. */
  readonly at: number;
  readonly from: number;
}

/** The entry of the record's own partition: its start is relative to the record. */
function writeLogical(sector: Buffer, { partition, at, from }: LogicalAt, { table, move }: Change): void {
  if (at === from && isUnmoved(move, partition)) return;
  const { offset, length } = movedPartition(move, partition);
  writeEntry(sector, ENTRIES, {
    start: (offset - at) / table.sectorSize,
    sectors: length / table.sectorSize,
    chsStart: offset / table.sectorSize,
  });
}

/** The link to the next record: its start is relative to the extended partition, its length reaches over that record's partition. */
function writeLink(
  sector: Buffer,
  { container, next }: { container: Partition; next: Ebr },
  { table, move }: Change,
): void {
  const { sectorSize, partitions } = table;
  const logical = partitions.find(({ number }) => number === next.number);
  const nextAt = movedOffset(move, next.offset);
  if (nextAt === next.offset && (logical === undefined || isUnmoved(move, logical))) return;
  const end = logical ? endOf(movedPartition(move, logical)) : nextAt + sectorSize;
  writeEntry(sector, LINK, {
    start: (nextAt - movedOffset(move, container.offset)) / sectorSize,
    sectors: (end - nextAt) / sectorSize,
    chsStart: nextAt / sectorSize,
  });
}
