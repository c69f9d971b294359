import type { DescribedPartition } from '../build/describe-disk.js';
import type { BuildPlan } from '../build/plan-build.js';
import type { BuildResult } from '../build/run-build.js';
import { formatSize } from '../io/format-size.js';
import { redactUrl } from '../io/redact-url.js';
import { parseLocation } from '../io/source-location.js';
import { formatResizePlan } from '../resize/format-plan.js';
import { cloudInitLines, customizeLines, idLines, plannedIdLines, stageLines } from './customize-summary.js';
import { type Line, formatLines } from './labelled-lines.js';

/**
 * What is printed when a build is done: the output, its sizes, what grew, what is free, what was seeded; and the template,
 * where several sources have one of its name.
 */
export function formatBuildSummary(
  result: BuildResult & { readonly cloudInitDisk?: string | undefined },
  { template }: Pick<BuildPlan, 'template'>,
): string {
  const lines: Line[] = [
    ...(template.others.length > 0 ? templateLines(template) : []),
    ['Output file', result.output],
    ['Output format', result.format],
    ['Virtual size', formatSize(result.size)],
    ['Size on disk', formatSize(result.allocated)],
    ...result.resize.grow.map(({ partition, name, oldSize, length }): Line => [
      'Grown',
      `${partitionName(partition)}, ${name}: ${formatSize(oldSize)} -> ${formatSize(length)}`,
    ]),
    ...result.layout.partitions
      .filter(hasFreeSpace)
      .map((partition): Line => ['Free space', formatFree(partition)]),
    ['Seeded', result.seeded.length === 0 ? 'nothing' : result.seeded.join(', ')],
    ...customizeLines(result),
    ...idLines(result.diskIds),
    ...cloudInitLines(result.cloudInitDisk),
  ];
  return formatLines(lines);
}

/** What `--dry-run` prints; `resize` is undefined where it cannot be known without the template. */
export function formatBuildPlan(plan: BuildPlan, resize: Parameters<typeof formatResizePlan>[0]): string {
  const { template } = plan;
  const lines: Line[] = [
    ...templateLines(template),
    [parseLocation(template.url).kind === 'file' ? 'File' : 'Download', redactUrl(template.url)],
    ['SHA-512', template.sha512 ?? 'none: the detached signature is checked'],
    ['Output file', plan.output],
    ['Output format', plan.format],
    ['Machine-id', plan.machineId],
    ['Randomness', plan.seed === undefined ? "from this machine's random source" : 'derived from --seed'],
    ...stageLines(plan.customize),
    ...plannedIdLines(plan.diskIds),
    ...cloudInitLines(plan.cloudInitDisk),
  ];
  return `${formatLines(lines)}\n\n${formatResizePlan(resize)}`;
}

function templateLines({ name, arch, revision, source, others }: BuildPlan['template']): Line[] {
  const rivals = others.map((other) => `revision ${other.revision} from ${other.source}`).join(', ');
  return [
    ['Template', `${name} (${arch}, revision ${revision}) from ${source}`],
    ...(rivals === '' ? [] : [['Not chosen', `${rivals} (--source NAME chooses)`] as const]),
  ];
}

type WithFreeSpace = DescribedPartition & { readonly content: { readonly freeBytes: number } };

function hasFreeSpace(partition: DescribedPartition): partition is WithFreeSpace {
  return partition.content.freeBytes !== undefined;
}

function formatFree({ number, length, content }: WithFreeSpace): string {
  const share = Math.round((100 * content.freeBytes) / length);
  return `${formatSize(content.freeBytes)} of ${formatSize(length)} (${share} %) in ${partitionName(number)}`;
}

function partitionName(number: number): string {
  return number === 0 ? 'the whole disk' : `partition ${number}`;
}
