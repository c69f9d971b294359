import { dirname, resolve } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { assertFormat, convertImage } from '../image/convert-image.js';
import { openRawWriter } from '../image/raw-writer.js';
import { openFileSource } from '../io/file-source.js';
import { assertFreeSpace } from '../io/free-space.js';
import { openAnySource } from '../io/open-any-source.js';
import { type OutputFile, openOutputFile, openScratchFile } from '../io/output-file.js';
import { parseLocation } from '../io/source-location.js';
import type { Progress } from '../progress.js';
import {
  type GrowResult,
  assertGrowTools,
  assertSoundFilesystems,
  growFilesystems,
} from '../resize/grow-filesystem.js';
import { type ResizePlan, planResize } from '../resize/plan-resize.js';
import { assertOutputName } from './assert-output-name.js';
import { assertNotInput } from './assert-not-input.js';
import { type DiskContent, openDiskContent } from './disk-content.js';
import { applyInPlace, assertRoomInPlace } from './resize-in-place.js';
import { planMap, writeDisk, writeLiterals } from './write-disk.js';

/** What to resize, and how. */
export interface ResizeRequest {
  readonly input: string;
  /** The new disk; undefined with `inPlace`. */
  readonly output?: string | undefined;
  readonly inPlace: boolean;
  /** The new virtual size in bytes, given the present one. */
  readonly targetSize: (size: number) => number;
  readonly format: string;
  readonly expand?: string | undefined;
  readonly lvexpand?: string | undefined;
  readonly jobs: number;
  readonly force: boolean;
  readonly sync: boolean;
  readonly dryRun: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was (or, in a dry run, would be) done. */
export interface ResizeResult {
  readonly output: string;
  readonly resize: ResizePlan;
  readonly grown: readonly GrowResult[];
}

/**
 * Grows a disk into a new file, or a raw one in place.
 *
 * @throws TSB_USAGE for options that contradict each other, and the codes of planning, writing and growing
 */
export async function runResize(request: ResizeRequest): Promise<ResizeResult> {
  const hasOutput = request.output !== undefined;
  if (request.inPlace ? hasOutput : !hasOutput) {
    throw new TsbuilderError(
      'TSB_USAGE',
      request.inPlace ? '--in-place takes no second disk' : 'the new disk needs a name',
      {
        hint: 'tsbuilder resize IN OUT --size SIZE, or tsbuilder resize IN --in-place --size SIZE',
      },
    );
  }
  return request.output === undefined ? resizeInPlace(request) : resizeToFile(request, request.output);
}

async function resizeToFile(request: ResizeRequest, name: string): Promise<ResizeResult> {
  assertOutputName(name);
  const path = resolve(name);
  const { input, signal, progress } = request;
  await assertFormat(request.format);
  await assertNotInput(input, path, 'To change the disk itself: tsbuilder resize IN --in-place --size SIZE');
  await using output = request.dryRun ? undefined : await openOutputFile(path, request);
  await using source = await openAnySource(input, { scratchFor: output?.path, progress, signal });
  await using content = await openDiskContent(source, { path: localPath(input), signal });
  const resize = await planFor(request, content);
  await assertFormat(request.format, { size: resize.targetSize });
  if (!output) return { output: path, resize, grown: [] };
  await assertGrowTools(resize, signal);
  return await writeResized(request, { content, output, resize });
}

async function writeResized(
  request: ResizeRequest,
  work: { content: DiskContent; output: OutputFile; resize: ResizePlan },
): Promise<ResizeResult> {
  const { signal, progress, format, sync } = request;
  const { content, output, resize } = work;
  const { path } = output;
  const disks = format === 'raw' ? 1 : 2;
  await assertFreeSpace(dirname(path), disks * content.estimatedAllocation);
  await using scratch = format === 'raw' ? undefined : await openScratchFile(path);
  const disk = scratch?.tempPath ?? output.tempPath;
  await using writer = await openRawWriter(disk, resize.targetSize);
  await writeDisk(content, writer, { ...request, map: planMap(resize) });
  await writeLiterals(disk, resize);
  const grown = await growFilesystems(resize, disk, { signal, progress, sync });
  if (scratch) {
    using _ = progress.step(`Converting to ${format}`);
    await convertImage(disk, output.tempPath, { format, signal });
  }
  await output.commit();
  return { output: path, resize, grown };
}

async function resizeInPlace(request: ResizeRequest): Promise<ResizeResult> {
  const { signal, progress } = request;
  const path = resolve(request.input);
  await using source = await openFileSource(path);
  await using content = await openDiskContent(source, { path, signal });
  if (content.container !== 'raw') {
    throw new TsbuilderError('TSB_USAGE', `${path}: only a raw disk can be resized in place`, {
      hint: 'Name a second disk as the output instead of --in-place.',
    });
  }
  const resize = await planFor(request, content);
  if (request.dryRun) return { output: path, resize, grown: [] };
  await assertGrowTools(resize, signal);
  await assertRoomInPlace(path, resize);
  // This is the only copy: an interruption waits until what repairs or grows a filesystem is done, and nothing is left unflushed.
  await assertSoundFilesystems(resize, path, { progress, sync: true });
  signal.throwIfAborted();
  await applyInPlace(path, resize, { progress, signal });
  const grown = await growFilesystems(resize, path, { progress, sync: true });
  signal.throwIfAborted();
  return { output: path, resize, grown };
}

async function planFor(request: ResizeRequest, content: DiskContent): Promise<ResizePlan> {
  const { expand, lvexpand, signal } = request;
  const targetSize = request.targetSize(content.size);
  return planResize({ source: content.disk, targetSize, expand, lvexpand, signal });
}

function localPath(input: string): string | undefined {
  const location = parseLocation(input);
  return location.kind === 'file' ? resolve(location.path) : undefined;
}
