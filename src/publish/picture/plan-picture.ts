import { totalLength } from '../../build/disk-fill.js';
import { type Range, endOf } from '../../probe/range.js';
import { type DiskUsage, packedIn } from '../disk-usage.js';
import { type DiskRegion, piecesByName } from '../free/disk-survey.js';
import { overlaps } from '../free/outside-free.js';

/**
 * What most of a cell is. `used`: data; `junk`: data that nothing uses; `free`: nothing uses it, and it is zero or may be; `zero`: in use or not known,
 * and zero; `table`: partition tables; `unknown`: data of which it is not known whether it is used.
 */
export type CellKind = 'used' | 'junk' | 'free' | 'zero' | 'table' | 'unknown';

/** A stretch of the disk that is drawn as one square. */
export interface PictureCell extends Range {
  readonly kind: CellKind;
  /** Bytes of the packed file for each byte of data, of an xz file. */
  readonly ratio?: number | undefined;
}

/** A partition, a volume, or what is outside of them. */
export interface PicturePanel {
  readonly name: string;
  readonly content: string;
  readonly label?: string | undefined;
  /** Bytes of the disk. */
  readonly length: number;
  readonly size?: number | undefined;
  readonly used?: number | undefined;
  readonly packed?: number | undefined;
  readonly left?: string | undefined;
  readonly cells: readonly PictureCell[];
}

/** What is drawn. */
export interface DiskPicture {
  readonly name: string;
  readonly size: number;
  readonly table: DiskUsage['table'];
  /** Bytes of the disk that a whole cell stands for. */
  readonly cellSize: number;
  /** Bytes of the disk by what they are. */
  readonly totals: Readonly<Record<CellKind, number>>;
  /** Size of the xz file's blocks together. */
  readonly packed?: number | undefined;
  readonly panels: readonly PicturePanel[];
}

const MOST_CELLS = 1536;
const SMALLEST_CELL = 64 * 1024;

/** The picture of a disk: a panel for each partition and volume, and one for all that is smaller than a cell. */
export function planPicture(
  usage: DiskUsage,
  { name, cells = MOST_CELLS }: { readonly name: string; readonly cells?: number | undefined },
): DiskPicture {
  const cellSize = Math.max(SMALLEST_CELL, 2 ** Math.ceil(Math.log2(Math.max(1, usage.size / cells))));
  const scale = { usage, cellSize, junk: junkOf(usage) };
  const groups = piecesByName(usage.survey);
  const isLarge = (group: readonly DiskRegion[]): boolean =>
    group.some(({ partition }) => partition !== undefined) ||
    (group[0]?.content !== 'table' && totalLength(group) >= cellSize);
  const panels = groups.filter(isLarge).map((group) => panelOf(group, scale));
  const rest = groups.filter((group) => !isLarge(group)).flat();
  if (rest.length > 0) panels.push(restPanel(rest, scale));
  return {
    ...{ name, cellSize, panels },
    size: usage.size,
    table: usage.table,
    totals: totalsOf(scale),
    packed: usage.blocks?.reduce((sum, { packed }) => sum + packed, 0),
  };
}

interface Scale {
  readonly usage: DiskUsage;
  readonly cellSize: number;
  readonly junk: readonly Range[];
}

function panelOf(group: readonly DiskRegion[], scale: Scale): PicturePanel {
  const [first] = group;
  const { name = '', partition } = first ?? {};
  const region = scale.usage.regions.find((each) => each.name === name && each.partition === partition);
  return {
    name,
    content: region?.content ?? 'none',
    label: region?.label,
    length: totalLength(group),
    size: region?.size,
    used: region?.used,
    packed: region?.packed,
    left: region?.left,
    cells: group.flatMap((piece) => cellsOf(piece, scale)),
  };
}

/** Tables, edges and small gaps. */
function restPanel(rest: readonly DiskRegion[], scale: Scale): PicturePanel {
  const { blocks } = scale.usage;
  return {
    name: 'Outside of partitions',
    content: 'none',
    length: totalLength(rest),
    packed: blocks && Math.round(packedIn(rest, blocks)),
    cells: rest.flatMap((piece) => cellsOf(piece, scale)),
  };
}

function cellsOf(region: DiskRegion, scale: Scale): PictureCell[] {
  const { cellSize } = scale;
  const cells: PictureCell[] = [];
  for (let offset = region.offset; offset < endOf(region); offset += cellSize) {
    const cell = { offset, length: Math.min(cellSize, endOf(region) - offset) };
    cells.push({ ...cell, kind: largest(sharesOf(region, cell, scale)), ratio: ratioOf(cell, scale) });
  }
  return cells;
}

/** The bytes of `range`, a part of `region`, by what they are. */
function sharesOf(region: DiskRegion, range: Range, { usage, junk }: Scale): Record<CellKind, number> {
  const shares: Record<CellKind, number> = { used: 0, junk: 0, free: 0, zero: 0, table: 0, unknown: 0 };
  if (region.content === 'table') return { ...shares, table: range.length };
  const free = overlaps([range], region.freeRanges);
  const freeBytes = totalLength(free);
  const data = totalLength(overlaps([range], usage.data)) - totalLength(overlaps(free, usage.data));
  const junkBytes = totalLength(overlaps(free, junk));
  return {
    ...shares,
    [region.left === undefined ? 'used' : 'unknown']: data,
    junk: junkBytes,
    free: freeBytes - junkBytes,
    zero: range.length - freeBytes - data,
  };
}

/** Data that nothing uses. Of an xz file only whole blocks: of a block that is used in part, what is free may well be zero. */
function junkOf({ free, data, blocks }: DiskUsage): Range[] {
  if (!blocks) return overlaps(free, data);
  return blocks.filter((block) => {
    const isFree = totalLength(overlaps([block], free)) === block.length;
    return isFree && overlaps([block], data).length > 0;
  });
}

/** What there is most of; what is in use wins over what is not. */
function largest(shares: Readonly<Record<CellKind, number>>): CellKind {
  const kinds: readonly CellKind[] = ['table', 'used', 'unknown', 'junk', 'free', 'zero'];
  return kinds.reduce((best, kind) => (shares[kind] > shares[best] ? kind : best));
}

/** How well the data of a cell is packed. */
function ratioOf(cell: Range, { usage }: Scale): number | undefined {
  if (!usage.blocks) return undefined;
  const data = totalLength(overlaps([cell], usage.data));
  return data === 0 ? undefined : packedIn(overlaps([cell], usage.data), usage.blocks) / data;
}

function totalsOf(scale: Scale): Record<CellKind, number> {
  const totals: Record<CellKind, number> = { used: 0, junk: 0, free: 0, zero: 0, table: 0, unknown: 0 };
  const kinds = Object.keys(totals) as CellKind[];
  for (const region of scale.usage.survey.regions) {
    const shares = sharesOf(region, region, scale);
    for (const kind of kinds) totals[kind] += shares[kind];
  }
  return totals;
}
