import { resolve } from 'node:path';
import { type CustomizeStage, type DescribedStage, describeStages } from '../customize/plan-customize.js';
import { TsbuilderError } from '../errors.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';
import { formatSize } from '../io/format-size.js';

/** What the user asked for, apart from the template itself. */
export interface BuildOptions {
  /** Path of the disk to make; default: the template's name in the working directory. */
  readonly output?: string | undefined;
  readonly format: string;
  /** Virtual size in bytes; default: the template's. */
  readonly targetSize?: number | undefined;
  /** Partition to grow (`/dev/sda3`, `3`); default: the index's `expand=`, else chosen from the table. */
  readonly expand?: string | undefined;
  readonly machineId: 'random' | 'empty' | 'keep';
  /** Makes the build reproducible: all randomness is derived from this text. */
  readonly seed?: string | undefined;
  /** What is done to the guest besides seeding it. Default: nothing. */
  readonly stages?: readonly CustomizeStage[] | undefined;
  /** Whether the disk gets new ids. Default: it keeps the template's. */
  readonly diskIds?: 'new' | 'keep' | undefined;
  /** The disk that is made for cloud-init. */
  readonly cloudInitDisk?: string | undefined;
  /** What other sources have under the same name. */
  readonly rivals?: readonly TemplateEntry[] | undefined;
}

/** Everything about a build that is known before a byte of the template has been read. */
export interface BuildPlan {
  readonly template: {
    readonly name: string;
    readonly arch: string;
    readonly revision: string;
    readonly url: string;
    readonly size: number;
    readonly format: string | undefined;
    readonly sha512: string | undefined;
    readonly source: string;
    /** What other sources have under the same name, and was not chosen. */
    readonly others: readonly { readonly source: string; readonly revision: string }[];
  };
  readonly output: string;
  readonly format: string;
  /** Virtual size in bytes; undefined means the size of the template's disk. */
  readonly targetSize: number | undefined;
  readonly expand: string | undefined;
  readonly lvexpand: string | undefined;
  readonly machineId: 'random' | 'empty' | 'keep';
  readonly seed: string | undefined;
  /** What is done to the guest besides, in words. */
  readonly customize: readonly DescribedStage[];
  /** Whether the disk, its partitions and its filesystems get new ids. */
  readonly diskIds?: 'new' | 'keep' | undefined;
  /** The disk that is made for cloud-init. */
  readonly cloudInitDisk?: string | undefined;
}

/**
 * The plan of a build of `entry`.
 *
 * @throws TSB_TOO_SMALL when the size asked for is below the template's: nothing has been downloaded by then
 */
export function planBuild(entry: TemplateEntry, options: BuildOptions): BuildPlan {
  const { targetSize } = options;
  if (targetSize !== undefined && targetSize < entry.size) {
    throw new TsbuilderError(
      'TSB_TOO_SMALL',
      `${formatSize(targetSize)} (${targetSize} bytes) is smaller than template ${entry.name}, which needs ${formatSize(entry.size)} (${entry.size} bytes)`,
      {
        hint: 'Templates can only grow: leave --size away or ask for more.',
        details: { targetSize, templateSize: entry.size },
      },
    );
  }
  const { name, arch, revision, url, size, format, sha512, source } = entry;
  const others = (options.rivals ?? []).map((rival) => ({
    source: rival.source.name,
    revision: rival.revision,
  }));
  return {
    template: { name, arch, revision, url, size, format, sha512, source: source.name, others },
    output: resolve(options.output ?? defaultOutput(name, options.format)),
    format: options.format,
    targetSize,
    expand: options.expand ?? entry.expand,
    lvexpand: entry.lvexpand,
    machineId: options.machineId,
    seed: options.seed,
    customize: describeStages(options.stages ?? []),
    diskIds: options.diskIds ?? 'keep',
    cloudInitDisk: options.cloudInitDisk,
  };
}

/** `NAME.img` for raw disks, as virt-builder has it, else `NAME.FORMAT`. */
export function defaultOutput(name: string, format: string): string {
  return `${name}.${format === 'raw' ? 'img' : format}`;
}
