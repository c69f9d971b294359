import { TsbuilderError } from '../errors.js';
import { chooseRoot, isSystemName } from '../guest/choose-root.js';
import { type GuestRoot, findRoots } from '../guest/find-root.js';
import type { ByteSource } from '../io/byte-source.js';
import { openFileSource } from '../io/file-source.js';
import { type DescribedPartition, describeDisk } from './describe-disk.js';

/** The partitions of a disk, and the Linux systems that can be read on them. */
export interface FoundSystems {
  readonly partitions: readonly DescribedPartition[];
  readonly roots: readonly GuestRoot<DescribedPartition>[];
}

/** What only libguestfs reads, and a system may be on. */
const FOREIGN: readonly DescribedPartition['content']['kind'][] = ['xfs', 'btrfs', 'lvm-pv', 'ntfs'];

/**
 * Looks for systems on a disk.
 *
 * @throws TSB_PARTITION_TABLE, TSB_FILESYSTEM when it is damaged
 */
export async function findSystems(disk: ByteSource, signal: AbortSignal): Promise<FoundSystems> {
  const { partitions } = await describeDisk(disk, signal);
  return { partitions, roots: await findRoots(disk, partitions, signal) };
}

/** `findSystems` on the raw disk at `path`. */
export async function findSystemsIn(path: string, signal: AbortSignal): Promise<FoundSystems> {
  await using source = await openFileSource(path);
  return await findSystems(source, signal);
}

/**
 * The system that is meant: the one that `wanted` names (a partition, an LVM volume), or the only one.
 *
 * @param path of the disk, for messages
 * @returns undefined when it can only be on a filesystem that libguestfs has to read
 * @throws TSB_GUEST when there is none or which one is meant cannot be told
 */
export function systemMeant(
  path: string,
  { partitions, roots }: FoundSystems,
  wanted: string | undefined,
): GuestRoot<DescribedPartition> | undefined {
  if (wanted !== undefined && isForeign(partitions, wanted)) return undefined;
  const root = chooseRoot(path, roots, wanted);
  if (root || partitions.some(({ content }) => FOREIGN.includes(content.kind))) return root;
  const contents = partitions.map(({ number, content }) => `${content.name} on ${nameOf(number)}`).join(', ');
  throw new TsbuilderError(
    'TSB_GUEST',
    `${path}: there is no Linux system on it, but ${contents === '' ? 'no filesystem at all' : contents}`,
  );
}

/** Whether `wanted` names a partition that only libguestfs reads. */
function isForeign(partitions: FoundSystems['partitions'], wanted: string): boolean {
  return partitions.some(
    ({ number, content }) =>
      FOREIGN.includes(content.kind) && content.kind !== 'lvm-pv' && isSystemName(wanted, { number }),
  );
}

function nameOf(partition: number): string {
  return partition === 0 ? 'the whole disk' : `partition ${partition}`;
}
