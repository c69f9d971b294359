import type { ByteSource } from '../../io/byte-source.js';
import type { Range } from '../../probe/range.js';
import { readPartitionTable } from '../../resize/partition-table.js';
import { surveyGaps } from './survey-gaps.js';
import type { DriverFacts } from './survey-driven.js';
import { surveyPlace } from './survey-place.js';

/** What is known of one stretch of a disk. */
export interface DiskRegion extends Range {
  /** `p1`, `vg/root`, `gap`, `table`, `start`, `end`, or `/` for a disk without partitions. */
  readonly name: string;
  readonly partition?: number | undefined;
  /** What is in it, in the words of `probeContent`: `ext4`, `vfat`, `swap`, `LVM2_member`, `unknown`; or `none`, `table`. */
  readonly content: string;
  /** The filesystem's own name, as it is on the disk: anything. */
  readonly label?: string | undefined;
  /** The filesystem's own numbers in bytes; of a logical volume in several pieces, the first piece has them. */
  readonly size?: number | undefined;
  readonly used?: number | undefined;
  readonly free?: number | undefined;
  /** Bytes of the disk that hold nothing anyone needs, ascending. */
  readonly freeRanges: readonly Range[];
  /** Why this region is left untouched: "encrypted (LUKS)", "not known what it is". */
  readonly left?: string | undefined;
  /** For asking its driver what is free: see `askDrivers`. */
  readonly driver?: DriverFacts | undefined;
}

/** A disk in regions that cover it, in order and without overlap. */
export interface DiskSurvey {
  /** Bytes. */
  readonly size: number;
  readonly table: 'gpt' | 'mbr' | 'none';
  /** Of the partition table. */
  readonly sectorSize: number;
  readonly regions: readonly DiskRegion[];
}

/** How a disk is surveyed. */
export interface SurveyOptions {
  /** Partitions that are left as they are. */
  readonly ignore?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tells what of a disk is free: it reads the partition table and the allocation tables of filesystems, LVM and swap space, and
 * nothing else. What is damaged, in use or not known is `left`, never guessed.
 *
 * @throws TSB_PARTITION_TABLE when the table is damaged, and as `disk`
 */
export async function surveyDisk(disk: ByteSource, options: SurveyOptions = {}): Promise<DiskSurvey> {
  const { signal, ignore = [] } = options;
  const table = await readPartitionTable(disk, { signal });
  if (!table) {
    const whole = { name: '/', offset: 0, length: disk.size };
    const regions = await surveyPlace(disk, whole, signal);
    regions.sort((a, b) => a.offset - b.offset);
    return { size: disk.size, table: 'none', sectorSize: 512, regions };
  }
  const regions = surveyGaps(disk, table);
  for (const { number, role, offset, length, type } of table.partitions) {
    if (role === 'extended') continue;
    const place = { name: `p${number}`, partition: number, offset, length };
    if (ignore.includes(number))
      regions.push({ ...place, content: 'unknown', freeRanges: [], left: 'to be ignored' });
    else regions.push(...(await surveyPlace(disk, { ...place, type }, signal)));
  }
  regions.sort((a, b) => a.offset - b.offset);
  return { size: disk.size, table: table.kind, sectorSize: table.sectorSize, regions };
}

/** The regions of a disk, those of one name together: a volume in pieces, the tables, the gaps. */
export function piecesByName({ regions }: DiskSurvey): DiskRegion[][] {
  const groups = new Map<string, DiskRegion[]>();
  for (const region of regions) {
    const key = JSON.stringify([region.name, region.partition]);
    const group = groups.get(key);
    if (group) group.push(region);
    else groups.set(key, [region]);
  }
  return [...groups.values()];
}

/** The free bytes of a disk: ascending, those that touch joined. */
export function freeRanges(survey: DiskSurvey): Range[] {
  const merged: Range[] = [];
  for (const range of survey.regions.flatMap((region) => region.freeRanges)) {
    const last = merged.at(-1);
    if (last && last.offset + last.length === range.offset)
      merged[merged.length - 1] = { offset: last.offset, length: last.length + range.length };
    else merged.push(range);
  }
  return merged;
}
