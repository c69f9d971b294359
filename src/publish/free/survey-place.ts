import { TsbuilderError } from '../../errors.js';
import { readFreeRanges } from '../../guest/ext/free-space.js';
import { openExtVolume } from '../../guest/ext/volume.js';
import type { ByteSource } from '../../io/byte-source.js';
import { probeContent } from '../../probe/probe-content.js';
import { type Range, endOf } from '../../probe/range.js';
import type { Content } from '../../probe/superblocks.js';
import type { DiskRegion } from './disk-survey.js';
import { type DriverFacts, surveyDriven } from './survey-driven.js';
import { otherSignature } from './other-signature.js';
import { surveyFat } from './survey-fat.js';
import { type VolumePlace, onDisk, pieceSource, surveyLvm } from './survey-lvm.js';
import { surveySwap } from './survey-swap.js';

/** A partition, or a whole disk. */
export interface SurveyPlace extends Range {
  readonly name: string;
  readonly partition?: number | undefined;
  /** The type in the partition table. */
  readonly type?: string | undefined;
}

/** What a filesystem says of itself: bytes from the start of its place. */
export interface Findings {
  readonly size?: number | undefined;
  readonly free?: number | undefined;
  readonly freeRanges: readonly Range[];
  readonly left?: string | undefined;
  readonly driver?: DriverFacts | undefined;
}

/** Partitions of these types belong to firmware and boot loaders, or to more than one disk, whatever their first bytes look like. */
const LEFT_TYPES: Readonly<Record<string, string>> = {
  '21686148-6449-6E6F-744E-656564454649': 'a boot loader',
  '83BD6B9D-7F41-11DC-BE0B-001560B84F0F': 'a boot loader',
  '9E1A2D38-C612-4316-AA26-8B49521E5A8B': 'a boot loader',
  '0x41': 'a boot loader',
  'A19D880F-05FC-4D3B-A006-743F0F84911E': 'part of a Linux RAID',
  '0xfd': 'part of a Linux RAID',
  '5808C8AA-7E8F-42E0-85D2-E1E90434CFB3': 'part of a Windows dynamic disk',
  'AF9B60A0-1431-4F62-BC68-3311714A69AD': 'part of a Windows dynamic disk',
  '0x42': 'part of a Windows dynamic disk',
};

/** The regions of a partition or of a whole disk: one, or, of LVM, several. */
export async function surveyPlace(
  disk: ByteSource,
  place: SurveyPlace,
  signal?: AbortSignal,
): Promise<DiskRegion[]> {
  const { name, partition, offset, length, type = '' } = place;
  const own = { name, partition, offset, length };
  const volume: VolumePlace = { name, partition, pieces: [{ offset, length }] };
  const left = LEFT_TYPES[type];
  const content = await probeContent(disk, own, signal);
  if (left !== undefined) return [{ ...own, content: content.name, freeRanges: [], left }];
  if (content.kind !== 'lvm-pv') return surveyVolume(disk, volume, signal);
  const source = pieceSource(disk, volume.pieces);
  const other = await otherSignature(source, { signal });
  if (other !== undefined) return [{ ...own, content: content.name, freeRanges: [], left: other }];
  const survey = (each: VolumePlace): Promise<DiskRegion[]> => surveyVolume(disk, each, signal);
  try {
    return await surveyLvm(disk, own, { survey, signal });
  } catch (error) {
    return [{ ...own, content: content.name, freeRanges: [], left: damageOf(disk, error) }];
  }
}

/** The regions of one filesystem: as many as it has pieces, of which the first has its numbers. */
async function surveyVolume(
  disk: ByteSource,
  { name, partition, pieces }: VolumePlace,
  signal: AbortSignal | undefined,
): Promise<DiskRegion[]> {
  const source = pieceSource(disk, pieces);
  const content = await probeContent(source, { offset: 0, length: source.size }, signal);
  const findings = await findingsOf({ source, content }, signal).catch((error: unknown): Findings => ({
    freeRanges: [],
    left: damageOf(disk, error),
  }));
  const free = findings.freeRanges.flatMap((range) => onDisk(pieces, range));
  return pieces.map((piece, index) => ({
    name,
    partition,
    ...piece,
    content: content.name,
    label: content.label,
    ...(index === 0 && sizesOf(content, findings)),
    freeRanges: free.filter(({ offset }) => offset >= piece.offset && offset < endOf(piece)),
    left: findings.left,
    driver: findings.driver && {
      kind: findings.driver.kind,
      ownWrites: findings.driver.ownWrites.flatMap((range) => onDisk(pieces, range)),
    },
  }));
}

function sizesOf(content: Content, findings: Findings): Pick<DiskRegion, 'size' | 'used' | 'free'> {
  const { size = content.size, free = content.freeBytes } = findings;
  const known = size !== undefined && free !== undefined && free <= size;
  return known ? { size, used: size - free, free } : { size };
}

/** What is wrong with a filesystem, in words; other errors are thrown. */
function damageOf(disk: ByteSource, error: unknown): string {
  if (!(error instanceof TsbuilderError) || error.code !== 'TSB_FILESYSTEM') throw error;
  return error.message.replace(`${disk.name}: `, '');
}

async function findingsOf(
  { source, content }: { source: ByteSource; content: Content },
  signal: AbortSignal | undefined,
): Promise<Findings> {
  const reason = await reasonToLeave(source, content, signal);
  if (reason !== undefined) return { freeRanges: [], left: reason };
  if (content.kind === 'swap') return surveySwap(source, content);
  if (content.kind === 'xfs' || content.kind === 'btrfs' || content.kind === 'ntfs')
    return surveyDriven(source, content.kind, signal);
  if (content.kind === 'fat') return surveyFat(source, signal);
  return { freeRanges: await readFreeRanges(await openExtVolume(source, signal)) };
}

async function reasonToLeave(
  source: ByteSource,
  content: Content,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  switch (content.kind) {
    case 'xfs':
    case 'btrfs':
    case 'ntfs':
      return otherSignature(source, { besides: content.name, signal });
    case 'luks':
      return 'encrypted (LUKS)';
    case 'iso9660':
    case 'squashfs':
      return 'never written to';
    case 'lvm-pv':
      return 'a physical volume inside a volume';
    case 'unknown':
      return (await otherSignature(source, { signal })) ?? 'not known what it is';
    case 'ext':
    case 'fat':
    case 'swap':
      return otherSignature(source, { signal });
  }
}
