import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import type { Partition, PartitionTable } from './partition.js';
import { probeContent } from '../probe/probe-content.js';
import type { Content } from '../probe/superblocks.js';

/** A partition with what it holds. */
export interface Chosen {
  readonly partition: Partition;
  readonly content: Content;
}

/** What to choose from, and the user's or the index's wish. */
interface Choice {
  readonly source: ByteSource;
  readonly table: PartitionTable;
  readonly expand?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEVICE = /^(?:\/dev\/)?(?:(?:[hsv]|xv)d[a-z]+|(?:(?:nvme\d+n|mmcblk|nbd|loop)\d+)?p)?(\d+)$/;
const WHOLE_DISK = /^(?:\/dev\/)?(?:(?:[hsv]|xv)d[a-z]+|nvme\d+n\d+|mmcblk\d+|nbd\d+|loop\d+)$/;

/** Kinds that {@link growFilesystems} can grow. */
const GROWABLE = ['ext', 'xfs', 'btrfs', 'lvm-pv', 'ntfs', 'swap'] as const;
export type GrowableKind = (typeof GROWABLE)[number];

/** Partitions that are never chosen unless named: firmware, recovery, /boot and swap. */
const NOT_BY_DEFAULT = new Set([
  'C12A7328-F81F-11D2-BA4B-00A0C93EC93B', // EFI system
  '21686148-6449-6E6F-744E-656564454649', // BIOS boot
  'BC13C2FF-59E6-4262-A352-B275FD6F7172', // extended boot loader
  '0657FD6D-A4AB-43C4-84E5-0933C84B4F4F', // Linux swap
  'E3C9E316-0B5C-4DB8-817D-F92DF00215AE', // Microsoft reserved
  'DE94BBA4-06D1-4D40-A16A-BFD50179D6AC', // Windows recovery
  '0x12',
  '0x27',
  '0x82',
  '0xef',
]);

/** Whether `kind` is one that can be grown. */
export function isGrowable(kind: Content['kind']): kind is GrowableKind {
  return (GROWABLE as readonly string[]).includes(kind);
}

/**
 * The number in a partition's name (`/dev/sda3`, `vda3`, `nvme0n1p3`, `p3`, `3`), or 0 for a whole disk (`/dev/sda`).
 *
 * @throws TSB_USAGE for anything else
 */
export function parsePartitionName(text: string): number {
  if (WHOLE_DISK.test(text)) return 0;
  const number = Number(DEVICE.exec(text)?.[1]);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new TsbuilderError('TSB_USAGE', `"${text}" does not name a partition`, {
    hint: 'Write it as /dev/sda3, p3 or 3.',
  });
}

/**
 * The partition to grow: the one that `expand` names, else the last one on the disk with a filesystem that can be grown
 * (firmware, recovery, boot and swap partitions aside).
 *
 * @throws TSB_PARTITION_NOT_FOUND when there is none, TSB_FILESYSTEM when the one named holds something that cannot be
 *   grown, TSB_USAGE for an unreadable name
 */
export async function choosePartition(choice: Choice): Promise<Chosen> {
  const { source, table, expand } = choice;
  if (expand !== undefined) return choose(choice, namedPartition(source.name, table, expand));
  const seen: string[] = [];
  const candidates = table.partitions
    .filter(({ role, type }) => role !== 'extended' && !NOT_BY_DEFAULT.has(type))
    .sort((a, b) => b.offset - a.offset);
  for (const partition of candidates) {
    const content = await probeContent(source, partition, choice.signal);
    if (isGrowable(content.kind) && content.kind !== 'swap') return { partition, content };
    seen.push(`partition ${partition.number}: ${content.name}`);
  }
  throw new TsbuilderError(
    'TSB_PARTITION_NOT_FOUND',
    `${source.name}: no partition has a filesystem that can be grown${seen.length > 0 ? ` (${seen.reverse().join(', ')})` : ''}`,
    { hint: 'Name the partition to grow with --expand, or keep the disk at its present size.' },
  );
}

function namedPartition(name: string, table: PartitionTable, expand: string): Partition {
  const number = parsePartitionName(expand);
  const partition = table.partitions.find((candidate) => candidate.number === number);
  const numbers = table.partitions.filter(({ role }) => role !== 'extended').map((one) => one.number);
  if (partition === undefined)
    throw new TsbuilderError('TSB_PARTITION_NOT_FOUND', `${name}: there is no partition "${expand}"`, {
      hint:
        numbers.length > 0 ? `The disk has partitions ${numbers.join(', ')}.` : 'The disk has no partitions.',
    });
  if (partition.role === 'extended')
    throw new TsbuilderError(
      'TSB_FILESYSTEM',
      `${name}: partition ${number} is the extended partition: it grows with the logical one that is named`,
      { hint: `The disk has partitions ${numbers.join(', ')}.` },
    );
  return partition;
}

async function choose(choice: Choice, partition: Partition): Promise<Chosen> {
  const content = await probeContent(choice.source, partition, choice.signal);
  if (!isGrowable(content.kind)) throw cannotGrow(choice.source.name, partition.number, content);
  return { partition, content };
}

/** The error for content that cannot be grown: growing its container alone would look like success. */
export function cannotGrow(name: string, partition: number, content: Content): TsbuilderError {
  const where = partition === 0 ? 'the disk' : `partition ${partition}`;
  const what = content.name === 'unknown' ? 'nothing that is known' : content.name;
  return new TsbuilderError(
    'TSB_FILESYSTEM',
    `${name}: ${where} holds ${what}, which cannot be grown${content.obstacle === undefined ? '' : `: ${content.obstacle}`}`,
    {
      hint: 'ext2/3/4, XFS, btrfs, NTFS, swap and LVM can be grown; otherwise keep the disk at its present size.',
      details: { partition, content: content.name },
    },
  );
}
