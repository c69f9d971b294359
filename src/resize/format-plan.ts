import { formatSize } from '../io/format-size.js';
import type { GrowStep, PartitionChange, ResizePlan } from './resize-plan.js';

/**
 * The plan in lines for people: the disk's sizes, each partition that grows or moves, notes.
 *
 *     disk         4 GiB -> 10 GiB
 *     partition 1  ext4  3.9 GiB -> 9.9 GiB
 *     partition 2  moved from 3.9 GiB to 9.9 GiB
 */
export function formatResizePlan(plan: ResizePlan): string {
  if (plan.sourceSize === plan.targetSize) return `disk         ${formatSize(plan.targetSize)}, unchanged`;
  const disk = `disk         ${formatSize(plan.sourceSize)} -> ${formatSize(plan.targetSize)}`;
  const changes = plan.changes.filter(({ partition }) => partition !== 0).map(formatChange);
  return [disk, ...changes, ...plan.grow.flatMap(formatStep), ...plan.notes].join('\n');
}

function formatChange(change: PartitionChange): string {
  const { from, to, content } = change;
  const label = `partition ${change.partition}  `;
  const grown = `${formatSize(from.length)} -> ${formatSize(to.length)}`;
  const moved = `moved from ${formatSize(from.offset)} to ${formatSize(to.offset)}`;
  const parts = [
    ...(content === undefined ? [] : [content]),
    ...(from.length === to.length ? [] : [grown]),
    ...(from.offset === to.offset ? [] : [moved]),
  ];
  return label + parts.join('  ');
}

function formatStep(step: GrowStep): string[] {
  if (step.volume) return [`${step.volume.device}  ${step.volume.name}  gets the new space`];
  if (step.partition === 0)
    return [`whole disk   ${step.name}  ${formatSize(step.oldSize)} -> ${formatSize(step.length)}`];
  return [];
}

/** The plan as data for `--json`: the tables' bytes left out, their places and lengths kept. */
export function summarizeResizePlan(plan: ResizePlan): Record<string, unknown> {
  return { ...plan, literals: plan.literals.map(({ offset, data }) => ({ offset, length: data.length })) };
}
