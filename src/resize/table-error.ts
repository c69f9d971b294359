import { TsbuilderError } from '../errors.js';
import { type Partition, type Range, endOf } from './partition.js';

/** The error for a partition table that contradicts itself or its disk; `message` names the partition and the numbers. */
export function tableError(name: string, message: string): TsbuilderError {
  return new TsbuilderError('TSB_PARTITION_TABLE', `${name}: ${message}`, {
    hint: 'The disk is damaged or incomplete: get it again, or repair its partition table (sgdisk -v, sfdisk --verify).',
  });
}

/**
 * Checks that no partition leaves `usable` and that no two overlap; logical partitions must lie inside the extended
 * one, whose own range is otherwise free for them.
 *
 * @throws TSB_PARTITION_TABLE with the numbers of the first partition that is wrong
 */
export function assertLayout(name: string, partitions: readonly Partition[], usable: Range): void {
  const extended = partitions.find(({ role }) => role === 'extended');
  for (const partition of partitions) {
    const within = partition.role === 'logical' && extended ? extended : usable;
    if (partition.offset < within.offset || endOf(partition) > endOf(within)) {
      throw tableError(
        name,
        `partition ${partition.number} (bytes ${span(partition)}) is outside ${within === usable ? 'the usable part of the disk' : `the extended partition ${extended?.number ?? ''}`} (bytes ${span(within)})`,
      );
    }
  }
  assertDisjoint(name, partitions, ({ role }) => role !== 'logical');
  assertDisjoint(name, partitions, ({ role }) => role === 'logical');
}

function assertDisjoint(
  name: string,
  partitions: readonly Partition[],
  belongs: (partition: Partition) => boolean,
): void {
  const sorted = partitions.filter(belongs).sort((a, b) => a.offset - b.offset);
  for (const [index, next] of sorted.entries()) {
    const previous = sorted[index - 1];
    if (previous === undefined || endOf(previous) <= next.offset) continue;
    throw tableError(
      name,
      `partitions ${previous.number} (bytes ${span(previous)}) and ${next.number} (bytes ${span(next)}) overlap`,
    );
  }
}

/** `first-last`, both inclusive. */
export function span(range: Range): string {
  return `${range.offset}-${endOf(range) - 1}`;
}
