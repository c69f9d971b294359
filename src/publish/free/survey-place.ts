import { TsbuilderError } from '../../errors.js';
import { readFreeRanges } from '../../guest/ext/free-space.js';
import { openExtVolume } from '../../guest/ext/volume.js';
import { type ByteSource, sliceSource } from '../../io/byte-source.js';
import { probeContent } from '../../probe/probe-content.js';
import type { Range } from '../../probe/range.js';
import type { Content } from '../../probe/superblocks.js';
import type { DiskRegion } from './disk-survey.js';

/** Somewhere that a filesystem may be: a partition, a logical volume, a whole disk. */
export interface SurveyPlace extends Range {
  readonly name: string;
  readonly partition?: number | undefined;
  /** The type in the partition table. */
  readonly type?: string | undefined;
}

/** What a filesystem says of itself, bytes from the start of its place. */
export interface Findings {
  readonly size?: number | undefined;
  readonly free?: number | undefined;
  readonly freeRanges: readonly Range[];
  readonly left?: string | undefined;
}

/** Why filesystems are left whose free space only their own driver knows. */
const NEEDS_LIBGUESTFS = 'needs libguestfs';

/** The regions of a partition or of a whole disk: one, or, of LVM, several. */
export async function surveyPlace(
  disk: ByteSource,
  place: SurveyPlace,
  signal?: AbortSignal,
): Promise<DiskRegion[]> {
  const content = await probeContent(disk, place, signal);
  const window = sliceSource(disk, place.offset, place.length);
  const findings = await findingsOf({ source: window, content }, signal).catch((error: unknown) => {
    if (error instanceof TsbuilderError && error.code === 'TSB_FILESYSTEM')
      return { freeRanges: [], left: error.message.replace(`${disk.name}: `, '') };
    throw error;
  });
  return [regionOf(place, content, findings)];
}

function regionOf(place: SurveyPlace, content: Content, findings: Findings): DiskRegion {
  const { name, partition, offset, length } = place;
  const { size = content.size, free = content.freeBytes, left } = findings;
  const known = size !== undefined && free !== undefined && free <= size;
  return {
    name,
    partition,
    offset,
    length,
    content: content.name,
    size,
    ...(known && { free, used: size - free }),
    freeRanges: findings.freeRanges.map((range) => ({ offset: offset + range.offset, length: range.length })),
    left,
  };
}

async function findingsOf(
  { source, content }: { source: ByteSource; content: Content },
  signal: AbortSignal | undefined,
): Promise<Findings> {
  switch (content.kind) {
    case 'ext':
      return { freeRanges: await readFreeRanges({ ...(await openExtVolume(source, signal)), signal }) };
    case 'swap':
    case 'fat':
    case 'lvm-pv':
      return { freeRanges: [], left: 'not surveyed yet' };
    case 'xfs':
    case 'btrfs':
    case 'ntfs':
      return { freeRanges: [], left: NEEDS_LIBGUESTFS };
    case 'luks':
      return { freeRanges: [], left: 'encrypted (LUKS)' };
    case 'iso9660':
    case 'squashfs':
      return { freeRanges: [], left: 'a filesystem that is only read' };
    case 'unknown':
      return { freeRanges: [], left: 'not known what it is' };
  }
}
