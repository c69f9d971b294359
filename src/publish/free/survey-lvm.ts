import { createRangeSet } from '../../image/range-set.js';
import { type ByteSource, assertRange } from '../../io/byte-source.js';
import { type VolumeGroup, readVolumeGroup } from '../../probe/lvm.js';
import { type Range, endOf } from '../../probe/range.js';
import type { DiskRegion } from './disk-survey.js';

/** A logical volume in one or more pieces of the disk. */
export interface VolumePlace {
  readonly name: string;
  readonly partition?: number | undefined;
  readonly pieces: readonly Range[];
}

interface Place extends Range {
  readonly name: string;
  readonly partition?: number | undefined;
}

/** The regions of a physical volume: those that `survey` makes of its plain volumes, its free extents, and what LVM has for itself. */
export async function surveyLvm(
  disk: ByteSource,
  place: Place,
  options: {
    survey: (volume: VolumePlace) => Promise<DiskRegion[]>;
    signal?: AbortSignal | undefined;
  },
): Promise<DiskRegion[]> {
  const own = { ...place, content: 'LVM2_member', freeRanges: [] };
  const group = await readVolumeGroup(disk, place, options.signal);
  const left = group ? obstacleOf(group) : 'a physical volume without a volume group of its own';
  if (!group || left !== undefined) return [{ ...own, left }];
  const regions: DiskRegion[] = [];
  for (const { name, pieces, visible } of group.volumes) {
    if (!visible || !pieces) continue;
    const volume = { name: `${group.name}/${name}`, partition: place.partition, pieces };
    regions.push(...(await options.survey(volume)));
  }
  for (const range of group.free ?? [])
    regions.push({ ...own, ...range, name: `${group.name} (free)`, free: range.length, freeRanges: [range] });
  const taken = createRangeSet();
  for (const { offset, length } of [{ offset: 0, length: place.offset }, ...regions])
    taken.add(offset, length);
  for (const gap of taken.gaps(endOf(place))) regions.push({ ...own, ...gap });
  return regions;
}

/** Why a group is not looked into: what this disk says of it may be old, or blocks that are free in one volume are used by another. */
function obstacleOf({ physicalVolumes, volumes, free }: VolumeGroup): string | undefined {
  if (physicalVolumes !== 1) return `its volume group has ${physicalVolumes} physical volumes`;
  if (free === undefined) return 'its extents cannot be told';
  const kinds = new Set(volumes.flatMap(({ types }) => types));
  if (kinds.has('snapshot')) return 'its volume group has snapshots';
  return undefined;
}

/** A source that is the pieces of another, one after the other. Disposing it leaves the other open. */
export function pieceSource(disk: ByteSource, pieces: readonly Range[]): ByteSource {
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  const source: ByteSource = {
    name: disk.name,
    size,
    async read(offset, length, signal) {
      assertRange(source, offset, length);
      const ranges = onDisk(pieces, { offset, length });
      return Buffer.concat(
        await Promise.all(ranges.map((range) => disk.read(range.offset, range.length, signal))),
      );
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return source;
}

/** Where a range of what `pieces` make up is on the disk. */
export function onDisk(pieces: readonly Range[], range: Range): Range[] {
  const found: Range[] = [];
  let start = 0;
  for (const piece of pieces) {
    const from = Math.max(range.offset, start);
    const to = Math.min(endOf(range), start + piece.length);
    if (to > from) found.push({ offset: piece.offset + from - start, length: to - from });
    start += piece.length;
  }
  return found;
}
