import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assertNotInput } from '../build/assert-not-input.js';
import { assertOutputName } from '../build/assert-output-name.js';
import { claimDisk } from '../build/claim-disk.js';
import { type DiskContent, openDiskContent } from '../build/disk-content.js';
import { type ImageKind, imageKind } from '../build/disk-copy.js';
import { totalLength } from '../build/disk-fill.js';
import { diskPlace } from '../build/disk-file.js';
import { writeDisk } from '../build/write-disk.js';
import { TsbuilderError } from '../errors.js';
import { assertFormat, convertImage } from '../image/convert-image.js';
import { openRawWriter } from '../image/raw-writer.js';
import type { DiskLock } from '../io/disk-lock.js';
import { openFileSource } from '../io/file-source.js';
import { assertFreeSpace } from '../io/free-space.js';
import { openOutputFile, openScratchFile } from '../io/output-file.js';
import type { Progress } from '../progress.js';
import { askDrivers } from './free/ask-drivers.js';
import { assertCanDiscard, discardFree } from './free/discard-free.js';
import { type DiskSurvey, freeRanges, surveyDisk } from './free/disk-survey.js';
import { outsideFree } from './free/outside-free.js';
import { punchFree } from './free/punch-free.js';
import { compareCopy } from './second-look.js';

/** Which disk to make smaller, and how. */
export interface SparsifyRequest {
  readonly input: string;
  /** The new disk; undefined with `inPlace`, and in a dry run if need be. */
  readonly output?: string | undefined;
  readonly inPlace: boolean;
  /** Format of the new disk; default: that of the disk. */
  readonly format?: string | undefined;
  /** Partitions that are left as they are. */
  readonly ignore: readonly number[];
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was found, and (but in a dry run) done. Bytes. */
export interface SparsifyResult {
  readonly output: string;
  readonly survey: DiskSurvey;
  /** What nothing on the disk uses, whether it took room before or not. */
  readonly free: number;
  /** What the disk's file occupied, and what the result does; of block devices it is not known. */
  readonly allocatedBefore?: number | undefined;
  readonly allocatedAfter?: number | undefined;
  /** What a block device was told not to be needed. */
  readonly discarded?: number | undefined;
}

/**
 * Makes free space of a raw or qcow2 disk take no room: in a copy, or in the disk itself. A raw disk gets holes in place, a block device is
 * told what is not needed; a qcow2 image is written anew and takes the place of the old one when it is complete.
 *
 * @throws TSB_USAGE for arguments that contradict each other, TSB_LOCKED when the disk is in use, TSB_CONTENT_CHANGED when it is
 *   written to meanwhile, TSB_PARTITION_NOT_FOUND for one to ignore, TSB_PARTITION_TABLE, TSB_OUTPUT_UNUSABLE for a device that cannot discard, and as writing disks
 */
export async function runSparsify(request: SparsifyRequest): Promise<SparsifyResult> {
  const { input, signal, ignore, progress } = request;
  assertRequest(request);
  const place = await diskPlace(input);
  const { path } = place;
  if (request.output !== undefined) {
    assertOutputName(request.output);
    await assertNotInput(
      path,
      request.output,
      'To change the disk itself: tsbuilder sparsify DISK --in-place',
    );
  }
  const kind = await imageKind(path, { signal });
  await assertFormat(request.format ?? kind.format);
  if (request.inPlace && place.kind === 'device') await assertDiscards(path, kind);
  await using lock = await claimDisk(path, request.inPlace && !request.dryRun ? 'replace' : 'read');
  await using source = await openFileSource(path);
  await using content = await openDiskContent(source, { path, signal });
  const known = await surveyDisk(content.disk, { ignore, signal });
  assertIgnored(known, ignore);
  const survey = await askDrivers(known, { path, format: kind.format }, { progress, signal });
  const ranges = freeRanges(survey);
  const output = request.output ?? path;
  const facts = { output, survey, free: totalLength(ranges), allocatedBefore: await allocated(path) };
  if (request.dryRun) return facts;
  for (const { name, left, content: what } of survey.regions)
    if (left !== undefined && what !== 'none') progress.warn(`${name} (${what}) is left as it is: ${left}`);
  await lock.assertUnchanged();
  if (request.inPlace && place.kind === 'device')
    return { ...facts, discarded: await discardFree(path, ranges, request) };
  if (request.inPlace && kind.format === 'raw') await punchFree(path, ranges, request);
  else await writeSparse(request, { path: output, content, ranges, kind, lock });
  return { ...facts, allocatedAfter: await allocated(output) };
}

function assertRequest({ inPlace, output, format, dryRun }: SparsifyRequest): void {
  const why = !inPlace
    ? output === undefined && !dryRun && 'the new disk needs a name'
    : output !== undefined
      ? '--in-place takes no second disk'
      : format !== undefined && '--in-place keeps the format';
  if (why === false) return;
  throw new TsbuilderError('TSB_USAGE', why, {
    hint: 'tsbuilder sparsify DISK OUT, or tsbuilder sparsify DISK --in-place',
  });
}

/** What is to be left must be there: with a number that is mistaken, what was meant would be changed. */
function assertIgnored({ regions }: DiskSurvey, ignore: readonly number[]): void {
  const numbers = [...new Set(regions.flatMap(({ partition }) => partition ?? []))];
  const missing = ignore.find((number) => !numbers.includes(number));
  if (missing === undefined) return;
  throw new TsbuilderError('TSB_PARTITION_NOT_FOUND', `there is no partition ${missing} to ignore`, {
    hint:
      numbers.length > 0 ? `The disk has partitions ${numbers.join(', ')}.` : 'The disk has no partitions.',
  });
}

async function assertDiscards(path: string, kind: ImageKind): Promise<void> {
  if (kind.format === 'raw') return assertCanDiscard(path);
  throw new TsbuilderError(
    'TSB_USAGE',
    `${path}: holds a ${kind.format} image, which cannot be replaced in place`,
    {
      hint: 'Write a copy instead: tsbuilder sparsify DISK OUT',
    },
  );
}

async function allocated(path: string): Promise<number | undefined> {
  const found = await stat(path);
  return found.isBlockDevice() ? undefined : found.blocks * 512;
}

interface SparseWork {
  readonly path: string;
  readonly content: DiskContent;
  readonly ranges: ReturnType<typeof freeRanges>;
  readonly kind: ImageKind;
  readonly lock: DiskLock;
}

async function writeSparse(request: SparsifyRequest, work: SparseWork): Promise<void> {
  const { progress, signal, jobs } = request;
  const { path, content, ranges, kind, lock } = work;
  const format = request.format ?? kind.format;
  await using output = await openOutputFile(path, { force: request.inPlace || request.force });
  const needed = Math.min(content.estimatedAllocation, content.size - totalLength(ranges));
  await assertFreeSpace(dirname(output.path), (format === 'raw' ? 1 : 2) * needed);
  await using scratch = format === 'raw' ? undefined : await openScratchFile(path);
  const raw = scratch?.tempPath ?? output.tempPath;
  await using writer = await openRawWriter(raw, content.size);
  await writeDisk(content, writer, { jobs, progress, signal, map: outsideFree(ranges) });
  await compareCopy(request.input, { disk: content.disk, copy: raw, free: ranges }, request);
  if (scratch) {
    using _ = progress.step(`Writing the ${format} image`);
    const options = kind.format === 'qcow2' && format === 'qcow2' ? kind.options : {};
    await convertImage(raw, output.tempPath, { ...options, format, jobs, signal });
  }
  await lock.assertUnchanged();
  signal.throwIfAborted();
  await output.commit();
}
