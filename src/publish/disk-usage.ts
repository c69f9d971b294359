import { totalLength } from '../build/disk-fill.js';
import type { DiskSource } from '../io/disk-source.js';
import { type Range, endOf } from '../probe/range.js';
import type { XzIndex } from '../xz/xz-index.js';
import {
  type DiskRegion,
  type DiskSurvey,
  freeRanges,
  piecesByName,
  surveyDisk,
} from './free/disk-survey.js';
import { overlaps } from './free/outside-free.js';

/** A filesystem, a volume, or another stretch of a disk. Bytes. */
export interface RegionUsage {
  readonly name: string;
  readonly partition?: number | undefined;
  /** As `DiskRegion.content`. */
  readonly content: string;
  readonly label?: string | undefined;
  /** What it has of the disk, in one piece or several. */
  readonly length: number;
  readonly size?: number | undefined;
  readonly used?: number | undefined;
  readonly free?: number | undefined;
  /** What is not known to be zero. */
  readonly data: number;
  /** Data that nothing uses; of an xz file, as whole blocks are known at most, the most that it can be. */
  readonly freeable: number;
  /** Of an xz file: its share of the packed blocks. */
  readonly packed?: number | undefined;
  /** Why its free space is not known. */
  readonly left?: string | undefined;
  /** Whether its driver can be asked for it, which `sparsify` does. */
  readonly driven?: boolean | undefined;
}

/** A block of an xz file: where it is in the disk, and its size in the file. */
export interface PackedBlock extends Range {
  readonly packed: number;
}

/** What is where on a disk. */
export interface DiskUsage {
  readonly size: number;
  readonly table: DiskSurvey['table'];
  readonly survey: DiskSurvey;
  readonly regions: readonly RegionUsage[];
  /** What is not known to be zero, ascending. */
  readonly data: readonly Range[];
  /** What nothing uses, ascending. */
  readonly free: readonly Range[];
  /** The blocks of an xz file, ascending. */
  readonly blocks?: readonly PackedBlock[] | undefined;
}

/**
 * Tells what a disk is used for and what of it takes room, from its metadata and what the image says about zeros. With `index`,
 * that of the xz file that the disk is in, it tells too what takes how much of the file.
 *
 * @throws TSB_PARTITION_TABLE when the table is damaged, and as `disk`
 */
export async function readUsage(
  disk: DiskSource,
  options: { readonly index?: XzIndex | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<DiskUsage> {
  const { index, signal } = options;
  const survey = await surveyDisk(disk, { signal });
  const data = await dataOf(disk, signal);
  const free = freeRanges(survey);
  const blocks = index && blocksOf(index);
  const regions = piecesByName(survey).map((pieces) => usageOf(pieces, { data, blocks }));
  return { size: disk.size, table: survey.table, survey, regions, data, free, blocks };
}

async function dataOf(disk: DiskSource, signal: AbortSignal | undefined): Promise<Range[]> {
  const ranges: Range[] = [];
  for (let at = 0; at < disk.size;) {
    signal?.throwIfAborted();
    for (const { offset, length, kind } of await disk.extents(at, disk.size - at, signal)) {
      at = offset + length;
      if (kind !== 'data') continue;
      const last = ranges.at(-1);
      if (last && endOf(last) === offset)
        ranges[ranges.length - 1] = { offset: last.offset, length: last.length + length };
      else ranges.push({ offset, length });
    }
  }
  return ranges;
}

function blocksOf(index: XzIndex): PackedBlock[] {
  const blocks: PackedBlock[] = [];
  for (const { uncompressedOffset, uncompressedSize, totalSize } of index.blocks())
    if (uncompressedSize > 0)
      blocks.push({ offset: uncompressedOffset, length: uncompressedSize, packed: totalSize });
  return blocks;
}

function usageOf(
  pieces: readonly DiskRegion[],
  { data, blocks }: Pick<DiskUsage, 'data' | 'blocks'>,
): RegionUsage {
  const own = pieces.find(({ size }) => size !== undefined) ?? pieces[0];
  const free = pieces.flatMap(({ freeRanges: ranges }) => ranges);
  return {
    name: own?.name ?? '',
    partition: own?.partition,
    content: own?.content ?? 'none',
    label: own?.label,
    length: totalLength(pieces),
    size: own?.size,
    used: own?.used,
    free: own?.size === undefined ? freeOf(pieces) : own.free,
    data: totalLength(overlaps(pieces, data)),
    freeable: totalLength(overlaps(free, data)),
    packed: blocks && Math.round(packedIn(pieces, blocks)),
    left: own?.left,
    driven: own?.driver === undefined ? undefined : true,
  };
}

/** What is free of stretches that are no filesystem: each has a number of its own. */
function freeOf(pieces: readonly DiskRegion[]): number | undefined {
  const known = pieces.flatMap(({ free }) => free ?? []);
  return known.length === 0 ? undefined : known.reduce((sum, free) => sum + free, 0);
}

/** The bytes that `ranges` (ascending, separate) take of the packed file, when each byte of a block takes the same. */
export function packedIn(ranges: readonly Range[], blocks: readonly PackedBlock[]): number {
  let packed = 0;
  for (const range of ranges) {
    for (let at = firstEndingBehind(blocks, range.offset); at < blocks.length; at += 1) {
      const block = blocks[at];
      if (!block || block.offset >= endOf(range)) break;
      const shared = Math.min(endOf(range), endOf(block)) - Math.max(range.offset, block.offset);
      packed += (block.packed * shared) / block.length;
    }
  }
  return packed;
}

function firstEndingBehind(blocks: readonly Range[], offset: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const block = blocks[middle];
    if (block && endOf(block) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
