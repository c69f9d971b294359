import type { ByteSource } from '../io/byte-source.js';
import { asBuffer } from '../probe/bytes.js';
import { type DiskHead, readGpt } from './gpt.js';
import { hasMbr, readMbr } from './mbr.js';
import type { MbrTable, PartitionTable } from './partition.js';
import { probeContent } from '../probe/probe-content.js';

export type { PartitionTable } from './partition.js';

/** How to read a table. */
interface ReadTableOptions {
  /** 512 or 4096; detected when not given. */
  readonly sectorSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

// A GPT with 128 entries ends at 24 KiB on a disk with 4096-byte sectors.
const HEAD_SIZE = 32 * 1024;
const SECTOR_SIZES = [512, 4096];

/**
 * Reads the partition table of a disk; undefined when it has none (an empty disk, or one that is a filesystem as a whole).
 *
 * It takes one read of 32 KiB and one of 512 bytes for each logical partition. The end of the disk is read only when the
 * primary GPT is damaged.
 *
 * @throws TSB_PARTITION_TABLE for a damaged table, or partitions that overlap or leave the disk
 */
export async function readPartitionTable(
  source: ByteSource,
  options: ReadTableOptions = {},
): Promise<PartitionTable | undefined> {
  const { signal } = options;
  const data = asBuffer(await source.read(0, Math.min(HEAD_SIZE, source.size), signal));
  const head: DiskHead = { source, data, signal };
  const sectorSizes = options.sectorSize === undefined ? SECTOR_SIZES : [options.sectorSize];
  const gpt = await readGpt(head, sectorSizes);
  if (gpt) return gpt;
  if (!hasMbr(data) || (await isWholeDisk(head))) return undefined;
  return options.sectorSize === undefined ? readMbrOfEither(head) : readMbr(head, options.sectorSize);
}

/** A filesystem that begins in the first sector leaves room for boot code, and what looks like a table may be part of that. */
async function isWholeDisk({ source, data, signal }: DiskHead): Promise<boolean> {
  if (data.subarray(446, 510).some((byte) => byte !== 0)) return false;
  const { kind } = await probeContent(source, { offset: 0, length: source.size }, signal);
  return kind !== 'unknown';
}

/**
 * An MBR does not say how long its sectors are. They have 512 bytes, unless nothing is found where the partitions then
 * begin and something is found where they begin with 4096.
 */
async function readMbrOfEither(head: DiskHead): Promise<MbrTable> {
  const small = await readMbr(head, 512).catch((error: unknown) => ({ error }));
  if ('kind' in small && (small.partitions.length === 0 || (await hasContent(head, small)))) return small;
  const large = await readMbr(head, 4096).catch(() => undefined);
  if (large && (await hasContent(head, large))) return large;
  if ('kind' in small) return small;
  throw small.error;
}

async function hasContent({ source, signal }: DiskHead, table: MbrTable): Promise<boolean> {
  const places = table.partitions.filter(({ role }) => role !== 'extended');
  for (const place of places) if ((await probeContent(source, place, signal)).kind !== 'unknown') return true;
  return false;
}
