import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { formatSize } from '../io/format-size.js';
import {
  type Chosen,
  cannotGrow,
  choosePartition,
  isGrowable,
  parsePartitionName,
} from './choose-partition.js';
import { type Partition, type PartitionTable, type Range, endOf } from './partition.js';
import { readPartitionTable } from './partition-table.js';
import { planGrowth } from './plan-growth.js';
import { probeContent } from '../probe/probe-content.js';
import { type Copy, merge, subtract } from './ranges.js';
import { type Relocation, movedPartition } from './relocation.js';
import { type PartitionChange, type ResizePlan, identityPlan } from './resize-plan.js';
import { assertMbrReaches, writeMbr } from './write-mbr.js';
import { backupStart, writeGpt } from './write-gpt.js';

export { type ResizePlan, mapRange, sameResizePlan } from './resize-plan.js';

/** What a plan is made from. */
export interface ResizeRequest {
  /** The decoded disk. */
  readonly source: ByteSource;
  /** Bytes. */
  readonly targetSize: number;
  /** Partition to grow (`/dev/sda3`, `p3`, `3`); default: the last one with a filesystem that can be grown. */
  readonly expand?: string | undefined;
  /** Logical volume to grow, where the partition is an LVM physical volume (`/dev/vg/root`). */
  readonly lvexpand?: string | undefined;
  /** 512 or 4096; detected when not given. */
  readonly sectorSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const MIB = 1024 * 1024;

/**
 * Says how the disk in `source` becomes one of `targetSize` bytes: one partition grows, those behind it move to the end, the
 * table is written for the new size. Numbers, GUIDs, names and order of partitions stay. With the size that the disk has,
 * nothing is read and nothing changes.
 *
 * @throws TSB_TOO_SMALL for a size below the disk's, TSB_PARTITION_TABLE for a damaged table or one that cannot describe
 *   the new size, TSB_PARTITION_NOT_FOUND, TSB_FILESYSTEM when there is nothing that can be grown, TSB_USAGE for names
 */
export async function planResize(request: ResizeRequest): Promise<ResizePlan> {
  const { source, signal } = request;
  assertLargeEnough(source, request.targetSize);
  if (request.targetSize === source.size) return identityPlan(source.size);
  const table = await readPartitionTable(source, { sectorSize: request.sectorSize, signal });
  if (table === undefined) return planWholeDisk(request);
  const chosen = await choosePartition({ ...request, table });
  const move = relocationFor(request, table, chosen.partition);
  const literals = table.kind === 'gpt' ? writeGpt(source.name, table, move) : writeMbr(table, move);
  const grown = movedPartition(move, chosen.partition);
  const growth = await planGrowth(request, { ...chosen, grown });
  return {
    sourceSize: source.size,
    targetSize: move.targetSize,
    table: table.kind,
    sectorSize: table.sectorSize,
    copies: copiesFor(source.size, table, move),
    literals,
    grow: move.delta > 0 ? growth.steps : [],
    changes: changesFor(table, move, chosen),
    notes: [...table.notes, ...growth.notes, ...(move.delta > 0 ? [] : [tooLittle(request)])],
  };
}

function assertLargeEnough(source: ByteSource, targetSize: number): void {
  if (!Number.isSafeInteger(targetSize) || targetSize < source.size)
    throw new TsbuilderError(
      'TSB_TOO_SMALL',
      `${formatSize(targetSize)} (${targetSize} bytes) is smaller than ${source.name}, which has ${formatSize(source.size)} (${source.size} bytes)`,
      { hint: 'Disks can only grow.', details: { targetSize, sourceSize: source.size } },
    );
}

function tooLittle({ source, targetSize }: ResizeRequest): string {
  return `The disk grows by ${formatSize(targetSize - source.size)}: not enough for a partition to grow by a whole MiB.`;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** A disk that is one filesystem grows as a whole: nothing moves. */
async function planWholeDisk(request: ResizeRequest): Promise<ResizePlan> {
  const { source, expand, signal } = request;
  const { size } = source;
  if (expand !== undefined && parsePartitionName(expand) !== 0)
    throw new TsbuilderError(
      'TSB_PARTITION_NOT_FOUND',
      `${source.name}: there is no partition "${expand}": the disk has no partition table`,
    );
  const sectorSize = request.sectorSize ?? 512;
  const targetSize = roundUp(request.targetSize, sectorSize);
  const whole = { offset: 0, length: size };
  const content = await probeContent(source, whole, signal);
  if (!isGrowable(content.kind)) throw cannotGrow(source.name, 0, content);
  const partition: Partition = { ...whole, number: 0, role: 'primary', type: '' };
  const grown = { offset: 0, length: targetSize };
  const growth = await planGrowth(request, { partition, content, grown });
  return {
    ...identityPlan(size),
    targetSize,
    sectorSize,
    grow: growth.steps,
    changes: [{ partition: 0, content: content.name, from: whole, to: grown }],
    notes: growth.notes,
  };
}

/** Everything behind the partition that grows moves by whole MiB, as far as the new disk has room. */
function relocationFor(request: ResizeRequest, table: PartitionTable, grows: Partition): Relocation {
  const { source } = request;
  const targetSize = roundUp(request.targetSize, table.sectorSize);
  if (table.kind === 'mbr') assertMbrReaches(source.name, table, targetSize);
  const usableEnd = table.kind === 'gpt' ? backupStart(table, targetSize) : targetSize;
  const lastEnd = Math.max(...table.partitions.filter((one) => occupies(table, one)).map(endOf));
  if (lastEnd > usableEnd)
    throw new TsbuilderError(
      'TSB_TOO_SMALL',
      `${source.name}: ${targetSize} bytes leave no room for the backup GPT behind the last partition, which ends at byte ${lastEnd}`,
      { hint: `Ask for at least ${targetSize + lastEnd - usableEnd} bytes.`, details: { targetSize } },
    );
  const delta = Math.floor((usableEnd - lastEnd) / MIB) * MIB;
  return { split: endOf(grows), delta, targetSize, usableEnd };
}

/** Whether a partition's end limits the movement: free space at the end of an extended partition does not. */
function occupies(table: PartitionTable, { role }: Partition): boolean {
  return role !== 'extended' || !table.partitions.some((one) => one.role === 'logical');
}

function copiesFor(sourceSize: number, table: PartitionTable, move: Relocation): Copy[] {
  const split = Math.min(move.split, sourceSize);
  const limit = table.kind === 'gpt' ? move.usableEnd : move.targetSize;
  const behind = { from: split, to: split + move.delta };
  const length = Math.max(0, Math.min(sourceSize - split, limit - behind.to));
  const parts = [
    { from: 0, to: 0, length: split },
    { ...behind, length },
  ];
  return merge(parts.flatMap((part) => subtract(part, table.occupied)));
}

function changesFor(table: PartitionTable, move: Relocation, chosen: Chosen): PartitionChange[] {
  return table.partitions.flatMap((partition) => {
    const to = movedPartition(move, partition);
    if (to.offset === partition.offset && to.length === partition.length) return [];
    const content = partition.number === chosen.partition.number ? chosen.content.name : undefined;
    return [
      { partition: partition.number, content: content ?? roleName(partition), from: rangeOf(partition), to },
    ];
  });
}

function roleName({ role }: Partition): string | undefined {
  return role === 'extended' ? 'extended' : undefined;
}

function rangeOf({ offset, length }: Range): Range {
  return { offset, length };
}
