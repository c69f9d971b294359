import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { TsbuilderError, errnoOf } from '../errors.js';
import { openBlockDeviceWriter } from '../image/block-device-writer.js';
import { assertFormat } from '../image/convert-image.js';
import { type Qcow2Options, openQcow2Writer } from '../image/qcow2-writer.js';
import { openRawWriter } from '../image/raw-writer.js';
import { assertFreeSpace } from '../io/free-space.js';
import { openAnySource } from '../io/open-any-source.js';
import { type OutputFile, openOutputFile } from '../io/output-file.js';
import { redactUrl } from '../io/redact-url.js';
import { parseLocation } from '../io/source-location.js';
import type { Progress } from '../progress.js';
import { assertNotInput } from './assert-not-input.js';
import { type DiskContent, openDiskContent } from './disk-content.js';
import { orderedSink } from './ordered-sink.js';
import { writeDisk } from './write-disk.js';

/** 128 and the number of SIGPIPE, as a shell reports a program that died of it. */
const EXIT_SIGPIPE = 141;

/** What to unpack, and how. */
export interface UnpackRequest {
  /** Path or URL of the xz file. */
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

/** What was unpacked: sizes in bytes. */
export interface UnpackResult {
  readonly output: string;
  readonly size: number;
  readonly packedSize: number;
  /** Bytes that the output file occupies; absent for a device and for standard output. */
  readonly allocated?: number;
}

/**
 * Where `unxz SRC` writes when the user names no output: beside a local file, in the working directory for a URL, without the
 * `.xz` or `.txz` ending.
 *
 * @throws TSB_USAGE when the name has no such ending, or the URL cannot be read
 */
export function defaultUnpackedName(source: string): string {
  const url = /^[a-z]+:\/\//i.test(source);
  const path = url ? fileNameIn(source) : source;
  if (path.endsWith('.xz') && basename(path) !== '.xz') return path.slice(0, -'.xz'.length);
  if (path.endsWith('.txz')) return `${path.slice(0, -'.txz'.length)}.tar`;
  throw new TsbuilderError(
    'TSB_USAGE',
    `${source}: the name does not end in .xz, so the output needs a name`,
    {
      hint: 'Add the output as second argument, or - for standard output.',
    },
  );
}

function fileNameIn(url: string): string {
  parseLocation(url);
  const { pathname } = new URL(url);
  try {
    const name = basename(decodeURIComponent(pathname));
    if (!name.includes('\0')) return name;
  } catch {
    // An escape that is none.
  }
  throw new TsbuilderError('TSB_USAGE', `${redactUrl(url)}: the output cannot be named after this URL`, {
    hint: 'Add the output as second argument, or - for standard output.',
  });
}

/**
 * Checks before any work that the options fit together.
 *
 * @throws TSB_USAGE, TSB_TOOL_MISSING
 */
export async function assertUnpackOptions(
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
 * Unpacks an xz file in parallel. The whole content is checked against the file's own integrity checks before a new
 * file's name appears; a device or a pipe has got some of the data by the time an error is found.
 *
 * @throws TSB_USAGE when the output is the input, TSB_XZ_UNSUPPORTED when the source is not xz, and the codes of the
 *   decoder and of the output
 */
export async function runUnpack(request: UnpackRequest): Promise<UnpackResult> {
  const { input, progress, signal } = request;
  const output = request.output === '-' ? '-' : resolve(request.output);
  const toFile = output !== '-' && !(await isBlockDevice(output));
  if (output !== '-') await assertNotInput(input, output, 'Choose another name for the output.');
  await using file = toFile ? await openOutputFile(request.output, request) : undefined;
  await using source = await openAnySource(input, { scratchFor: file?.path, progress, signal });
  await using content = await openDiskContent(source, { signal });
  if (content.container !== 'xz') {
    throw new TsbuilderError('TSB_XZ_UNSUPPORTED', `${source.name}: not an xz file`, {
      hint: 'tsbuilder info shows what it is.',
    });
  }
  const result = { output, size: content.size, packedSize: source.size };
  if (file) return { ...result, allocated: await unpackToFile(content, file, request) };
  if (output === '-') await streamToStdout(content, request);
  else {
    await using writer = await openBlockDeviceWriter(output, content.size);
    await writeDisk(content, writer, request);
  }
  return result;
}

/** @returns the bytes that the new file occupies */
async function unpackToFile(content: DiskContent, file: OutputFile, request: UnpackRequest): Promise<number> {
  await assertFreeSpace(dirname(file.path), content.estimatedAllocation);
  await using writer =
    request.format === 'raw'
      ? await openRawWriter(file.tempPath, content.size)
      : await openQcow2Writer(file.tempPath, content.size, request);
  await writeDisk(content, writer, request);
  await file.commit();
  return (await stat(file.path)).blocks * 512;
}

/** A reader that goes away (`| head`) ends the work quietly, with the status that SIGPIPE would have given. */
async function streamToStdout(content: DiskContent, request: UnpackRequest): Promise<void> {
  const { jobs, signal } = request;
  using step = request.progress.step('Decoding', content.streamedBytes);
  const sink = orderedSink((data) => writeStdout(data, signal));
  try {
    await content.stream(sink, { jobs, signal, onProgress: (bytes) => step.advance(bytes) });
  } catch (error) {
    if (!(error instanceof TsbuilderError) || errnoOf(error.cause) !== 'EPIPE') throw error;
    process.exitCode = EXIT_SIGPIPE;
  }
}

/** Resolves when the pipe has taken `data`; a reader that has stopped reading does not hold up an abort. */
function writeStdout(data: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const stop = (): void => fail(signal.reason as Error);
    signal.addEventListener('abort', stop);
    process.stdout.write(data, (error) => {
      signal.removeEventListener('abort', stop);
      if (error) fail(new TsbuilderError('TSB_IO', `standard output: ${error.message}`, { cause: error }));
      else done();
    });
  });
}

async function isBlockDevice(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isBlockDevice() ?? false;
}
