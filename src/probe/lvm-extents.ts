import { type LvmSection, type LvmValue, subsection } from './lvm-text.js';
import type { Range } from './range.js';

/** What a volume's extents mean on the disk. */
export interface ExtentPlace {
  /** Where the first extent of the physical volume is, bytes. */
  readonly dataStart: number;
  readonly extentSize: number;
  /** The name of the physical volume in its group. */
  readonly key: string | undefined;
  readonly range: Range;
}

/** Where the plain segments of a volume are on the physical volume, in the order of the volume; undefined unless it is all of them. */
export function volumePieces(volume: LvmSection, place: ExtentPlace): Range[] | undefined {
  const { dataStart, extentSize, key, range } = place;
  const sorted = segmentsOf(volume).sort((a, b) => numberAt(a, 'start_extent') - numberAt(b, 'start_extent'));
  const pieces: Range[] = [];
  let logical = 0;
  for (const segment of sorted) {
    const first = linearStart(segment, key);
    const count = numberAt(segment, 'extent_count');
    if (first === undefined || count === 0 || numberAt(segment, 'start_extent') !== logical) return undefined;
    logical += count;
    const piece = { offset: dataStart + first * extentSize, length: count * extentSize };
    if (piece.offset < range.offset || piece.offset + piece.length > range.offset + range.length)
      return undefined;
    pieces.push(piece);
  }
  return pieces.length > 0 ? pieces : undefined;
}

/**
 * The extents of a physical volume that no volume of the group uses, as byte ranges of the disk; undefined when they are not all
 * inside `place.range`. An extent counts as used when a segment of any kind names the physical volume in any list.
 */
export function freeExtents(group: LvmSection, place: ExtentPlace): Range[] | undefined {
  const { dataStart, extentSize, key, range } = place;
  if (key === undefined || extentSize === 0 || dataStart <= range.offset) return undefined;
  const count = numberAt(subsection(subsection(group, 'physical_volumes'), key), 'pe_count');
  if (count === 0 || dataStart + count * extentSize > range.offset + range.length) return undefined;
  const used = usedExtents(group, key);
  const sound = ({ offset, length }: Range): boolean =>
    Number.isSafeInteger(offset) && offset >= 0 && length > 0;
  if (!used.every(sound)) return undefined;
  const free: Range[] = [];
  let at = 0;
  const addUpTo = (next: number): void => {
    if (next > at) free.push({ offset: dataStart + at * extentSize, length: (next - at) * extentSize });
  };
  for (const { offset, length } of used) {
    addUpTo(Math.min(offset, count));
    at = Math.max(at, offset + length);
  }
  addUpTo(count);
  return free;
}

/** Extents that segments use, by their first; a stripe is given those of its whole segment, which are more than it has. */
function usedExtents(group: LvmSection, key: string): Range[] {
  const volumes = subsection(group, 'logical_volumes');
  const segments = [...volumes.keys()].flatMap((name) => segmentsOf(subsection(volumes, name)));
  return segments
    .flatMap((segment) => {
      const length = numberAt(segment, 'extent_count');
      return [...segment.values()]
        .flatMap((value) => startsIn(value, key))
        .map((offset) => ({ offset, length }));
    })
    .sort((a, b) => a.offset - b.offset);
}

function startsIn(value: LvmValue, key: string): number[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly LvmValue[]).flatMap((item, index) => {
    const next = (value as readonly LvmValue[])[index + 1];
    if (item !== key) return [];
    return [typeof next === 'number' ? next : Number.NaN];
  });
}

/** The segments of a volume, in the order of the text. */
export function segmentsOf(volume: LvmSection): LvmSection[] {
  return [...volume.keys()].filter((key) => /^segment\d+$/.test(key)).map((key) => subsection(volume, key));
}

/** First extent of a plain segment on the physical volume called `key`; undefined for stripes, mirrors, thin volumes. */
export function linearStart(segment: LvmSection, key: string | undefined): number | undefined {
  const stripes = segment.get('stripes');
  const plain = segment.get('type') === 'striped' && segment.get('stripe_count') === 1;
  if (!plain || !Array.isArray(stripes) || stripes[0] !== key) return undefined;
  return Number.isSafeInteger(stripes[1]) ? (stripes[1] as number) : undefined;
}

/** A number of the section that is not negative, or 0. */
export function numberAt(section: LvmSection, key: string): number {
  const value = section.get(key);
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
