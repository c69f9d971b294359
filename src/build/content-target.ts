import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { openBlockDeviceWriter } from '../image/block-device-writer.js';
import { assertFormat } from '../image/convert-image.js';
import type { DiskWriter } from '../image/disk-writer.js';
import { type Qcow2Options, openQcow2Writer } from '../image/qcow2-writer.js';
import { openGrowingRawWriter, openRawWriter } from '../image/raw-writer.js';
import { assertFreeSpace } from '../io/free-space.js';
import { type OutputFile, openOutputFile } from '../io/output-file.js';
import { untilReaderLeaves, writeStdout } from '../io/standard-output.js';
import type { Progress } from '../progress.js';
import { assertNotInput } from './assert-not-input.js';
import type { DiskContent } from './disk-content.js';
import { orderedSink } from './ordered-sink.js';
import { writeDisk } from './write-disk.js';

/** Where content goes, and how. */
export interface TargetRequest {
  /** Path or URL of what is read, which the output must not be. */
  readonly input: string;
  /** Path of the new file or of a block device, or `-` for standard output. */
  readonly output: string;
  readonly format: 'raw' | 'qcow2';
  readonly jobs: number;
  readonly force: boolean;
  readonly sync: boolean;
  readonly compress?: 'zlib' | 'zstd' | undefined;
  readonly clusterSize?: number | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The content of a disk that can be written: what a `DiskContent` has and writing it needs. */
export interface WritableContent extends Pick<
  DiskContent,
  'streamedBytes' | 'estimatedAllocation' | 'stream'
> {
  /** Virtual size in bytes. Undefined: it shows when all has been streamed, which then comes in order, piece after piece. */
  readonly size: number | undefined;
  /** What it is in: `raw` and `qcow2` are copied, anything else is decoded. */
  readonly container: string;
}

/** An output that has been begun. Disposing it before `write` is over removes a new file. */
export interface ContentTarget extends AsyncDisposable {
  /** Absolute path, or `-`. */
  readonly output: string;
  /** The new file, beside which temporary files may be kept. */
  readonly scratchFor: string | undefined;
  /** Whether content can be written whose size is not known before its end: anywhere but on a device, which it might not fit. */
  readonly takesAnySize: boolean;
  /**
   * Writes the content; a new file appears at the end only. `allocated`: bytes that the file occupies, absent for a device and for
   * standard output. Throws the codes of the content and of the output.
   */
  write(content: WritableContent): Promise<{ allocated?: number }>;
}

/**
 * Checks before any work that the options of an output fit together.
 *
 * @throws TSB_USAGE, TSB_TOOL_MISSING
 */
export async function assertTargetOptions(
  options: Qcow2Options & { output: string; format: string; json: boolean },
): Promise<void> {
  const { output, format, json } = options;
  await assertFormat(format, options);
  if (output !== '-' || (format === 'raw' && !json)) return;
  const problem = json
    ? 'the result of --json would be mixed with the content'
    : `a ${format} disk cannot be written in one go`;
  throw new TsbuilderError('TSB_USAGE', `standard output: ${problem}`, {
    hint: 'Name a file as the output.',
  });
}

/**
 * Begins an output: before any reading it is known that it can be made.
 *
 * @throws TSB_USAGE when the output is the input, or a device is to hold another format than raw; and as `openOutputFile`
 */
export async function openContentTarget(request: TargetRequest): Promise<ContentTarget> {
  const output = request.output === '-' ? '-' : resolve(request.output);
  const isDevice = output !== '-' && (await isBlockDevice(output));
  if (output !== '-') await assertNotInput(request.input, output, 'Choose another name for the output.');
  if (isDevice && request.format !== 'raw') {
    throw new TsbuilderError('TSB_USAGE', `${output}: a device takes raw content, not ${request.format}`, {
      hint: 'Leave --format away, or name a file.',
    });
  }
  const file = output === '-' || isDevice ? undefined : await openOutputFile(request.output, request);
  return {
    output,
    scratchFor: file?.path,
    takesAnySize: !isDevice,
    async write(content) {
      if (file) return { allocated: await writeFile(content, file, request) };
      if (isDevice) await writeDevice(content, output, request);
      else await streamToStdout(content, request);
      return {};
    },
    async [Symbol.asyncDispose]() {
      await file?.[Symbol.asyncDispose]();
    },
  };
}

/** @returns the bytes that the new file occupies */
async function writeFile(
  content: WritableContent,
  file: OutputFile,
  request: TargetRequest,
): Promise<number> {
  await assertFreeSpace(dirname(file.path), content.estimatedAllocation);
  await using writer =
    request.format === 'raw'
      ? await openRaw(file.tempPath, content.size)
      : await openQcow2Writer(file.tempPath, content.size, request);
  await writeDisk(content, writer, request);
  await file.commit();
  return (await stat(file.path)).blocks * 512;
}

function openRaw(path: string, size: number | undefined): Promise<DiskWriter> {
  return size === undefined ? openGrowingRawWriter(path) : openRawWriter(path, size);
}

async function writeDevice(content: WritableContent, path: string, request: TargetRequest): Promise<void> {
  if (content.size === undefined) throw new Error('a device takes only content whose size is known');
  await using writer = await openBlockDeviceWriter(path, content.size);
  await writeDisk(content, writer, request);
}

async function streamToStdout(content: WritableContent, request: TargetRequest): Promise<void> {
  const { jobs, signal } = request;
  using step = request.progress.step('Decoding', content.streamedBytes);
  const sink = orderedSink((data) => writeStdout(data, signal));
  await untilReaderLeaves(() =>
    content.stream(sink, { jobs, signal, onProgress: (bytes) => step.advance(bytes) }),
  );
}

async function isBlockDevice(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isBlockDevice() ?? false;
}
