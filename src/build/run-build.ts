import { stat } from 'node:fs/promises';
import { TsbuilderError, messageOf } from '../errors.js';
import { assertFormat, convertImage } from '../image/convert-image.js';
import type { Qcow2Options } from '../image/qcow2-writer.js';
import { isCacheDamage } from '../index-repo/template-cache.js';
import type { ByteSource } from '../io/byte-source.js';
import { openFileSource } from '../io/file-source.js';
import { openSource } from '../io/open-source.js';
import { openOutputFile, openScratchFile } from '../io/output-file.js';
import type { Progress } from '../progress.js';
import { type GrowResult, growFilesystems } from '../resize/grow-filesystem.js';
import type { ResizePlan } from '../resize/plan-resize.js';
import { assertOutputName } from './assert-output-name.js';
import type { BuildContext } from './build-context.js';
import { type DescribedDisk, describeDisk } from './describe-disk.js';
import { openDiskContent } from './disk-content.js';
import type { BuildPlan } from './plan-build.js';
import { randomness } from './randomness.js';
import { type RenewedIds, renewDiskIds } from './renew-disk-ids.js';
import { type SeededDisk, seedDisk } from './seed-disk.js';
import { planFor, unpackTemplate } from './unpack-template.js';
import { writeLiterals } from './write-disk.js';

/** What a build made. */
export interface BuildResult extends SeededDisk {
  readonly output: string;
  readonly format: string;
  /** Virtual size in bytes. */
  readonly size: number;
  /** Bytes that the file occupies. */
  readonly allocated: number;
  readonly resize: ResizePlan;
  readonly grown: readonly GrowResult[];
  /** The new ids, where they were asked for. */
  readonly diskIds?: RenewedIds | undefined;
  /** The finished disk: its partitions and their free space. */
  readonly layout: DescribedDisk;
}

/**
 * Builds the disk of `plan`: the output's name appears only when every byte has been verified and all is finished;
 * whatever goes wrong, nothing is left behind. A cached template that proves damaged is fetched again, once.
 *
 * @throws TSB_OUTPUT_EXISTS, TSB_CHECKSUM_MISMATCH, TSB_NO_SPACE and the other codes of the parts
 */
export async function runBuild(plan: BuildPlan, context: BuildContext): Promise<BuildResult> {
  warnOfIdentifiers(plan, context.progress);
  try {
    return await buildOnce(plan, context);
  } catch (error) {
    if (!isCacheDamage(error)) throw error;
    context.progress.warn(`${messageOf(error)}; the cached file has been set aside, fetching it again`);
    return buildOnce(plan, context);
  }
}

async function describeFile(path: string, signal: AbortSignal): Promise<DescribedDisk> {
  await using source = await openFileSource(path);
  return await describeDisk(source, signal);
}

/**
 * Checks before any work that the format can be written and, but for a dry run, that the output can be made.
 *
 * @throws TSB_USAGE, TSB_TOOL_MISSING, TSB_OUTPUT_EXISTS, TSB_OUTPUT_UNUSABLE, TSB_LOCKED
 */
export async function assertOutput(
  path: string,
  options: Qcow2Options & { format: string; force: boolean; dryRun: boolean },
): Promise<void> {
  assertOutputName(path);
  await assertFormat(options.format, options);
  if (options.dryRun) return;
  await using _ = await openOutputFile(path, { force: options.force });
}

/**
 * What a build would do to the partitions, from the start of the template: a cached or local file, or a few range requests,
 * whose bytes are not verified. A server that can only send the whole file sends it, into the cache.
 *
 * @throws TSB_OFFLINE, the codes of a download, and those of planning
 */
export async function planPartitions(plan: BuildPlan, context: BuildContext): Promise<ResizePlan> {
  const { signal } = context;
  await using source = await openForPlan(context);
  await using packed = await openDiskContent(source, { signal });
  return await planFor(plan, packed, context);
}

async function openForPlan(context: BuildContext): Promise<ByteSource> {
  const { entry, cache, offline, progress, signal } = context;
  const path = await cache.lookup(entry);
  // What the cache says to a build it says to the plan of one.
  if (path === undefined && offline) return openFetched(context);
  try {
    return await openSource(path ?? entry.url, { signal, proxy: entry.source.proxy });
  } catch (error) {
    if (!(error instanceof TsbuilderError && error.code === 'TSB_NO_RANGES')) throw error;
    progress.warn(`${error.message}, so the plan needs the whole template`);
    return openFetched(context);
  }
}

/** The template as a build would get it, whole and verified. */
async function openFetched({ entry, cache, ...options }: BuildContext): Promise<ByteSource> {
  const handle = await cache.fetch(entry, options);
  try {
    await handle.verify(options.signal);
  } catch (error) {
    await handle[Symbol.asyncDispose]();
    throw error;
  }
  const { name, size } = handle.source;
  return {
    name,
    size,
    read: (offset, length, signal) => handle.source.read(offset, length, signal),
    [Symbol.asyncDispose]: () => handle[Symbol.asyncDispose](),
  };
}

/** Says so where a seed cannot make all bytes the same. */
function warnOfIdentifiers({ seed, format }: BuildPlan, progress: Progress): void {
  if (seed === undefined || format === 'raw' || format === 'qcow2') return;
  progress.warn(
    `qemu-img puts random identifiers into ${format} disks: --seed makes only their content the same`,
  );
}

async function buildOnce(plan: BuildPlan, context: BuildContext): Promise<BuildResult> {
  const { entry, progress, signal } = context;
  await using output = await openOutputFile(plan.output, context);
  // Other formats are written from a finished raw disk.
  await using scratch = plan.format === 'raw' ? undefined : await openScratchFile(plan.output);
  const disk = scratch?.tempPath ?? output.tempPath;
  const { random, fakeTime } = randomness(plan.seed);
  await using handle = await context.cache.fetch(entry, context);
  const resize = await unpackTemplate({ plan, context, handle, disk });
  await writeLiterals(disk, resize);
  const grown = await growFilesystems(resize, disk, { signal, progress, sync: context.sync, fakeTime });
  const seeded = await seedDisk(disk, { ...context, plan, random, fakeTime });
  // Last: what the operations write may name the old ids.
  const diskIds =
    plan.diskIds === 'new' ? await renewDiskIds(disk, { ...context, random, fakeTime }) : undefined;
  const layout = await describeFile(disk, signal);
  if (scratch) {
    using _ = progress.step(`Converting to ${plan.format}`);
    await convertImage(disk, output.tempPath, { ...context, format: plan.format });
  }
  await output.commit();
  const { blocks } = await stat(plan.output);
  const { output: path, format } = plan;
  return {
    output: path,
    format,
    size: resize.targetSize,
    allocated: blocks * 512,
    resize,
    grown,
    diskIds,
    ...seeded,
    layout,
  };
}
