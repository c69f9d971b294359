import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { openFileSource } from '../io/file-source.js';
import { openAnySource } from '../io/open-any-source.js';
import { openOutputFile } from '../io/output-file.js';
import type { Progress } from '../progress.js';
import { assertNotInput } from './assert-not-input.js';
import { type DiskContent, openDiskContent } from './disk-content.js';
import { orderedSink } from './ordered-sink.js';
import { packXz } from './xz-program.js';

/** What to repack, and how. */
export interface RepackRequest {
  /** Path or URL of an xz file. */
  readonly input: string;
  /** Path of the new xz file. */
  readonly output: string;
  /** Bytes of content in each block. */
  readonly blockSize: number;
  /** `0` to `9`, or one of these with an `e`. */
  readonly preset: string;
  readonly jobs: number;
  readonly force: boolean;
  /** Decode the new file and compare before it appears. */
  readonly verify: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was repacked: sizes in bytes. */
export interface RepackResult {
  readonly output: string;
  /** Of the content. */
  readonly size: number;
  readonly sha256: string;
  readonly packedBefore: number;
  readonly packedSize: number;
  readonly verified: boolean;
}

const MIN_BLOCK = 64 * 1024;
const MAX_BLOCK = 1024 * 1024 * 1024;

/**
 * Packs the content of an xz file anew, in blocks that can be decoded in parallel and one by one. The new file appears when all of it
 * is there and, with `verify`, has been decoded to what was packed.
 *
 * @throws TSB_USAGE, TSB_XZ_UNSUPPORTED when the source is not xz, TSB_CHECKSUM_MISMATCH when the new file holds something else, and
 *   the codes of the decoder, of `packXz` and of `openOutputFile`
 */
export async function runRepack(request: RepackRequest): Promise<RepackResult> {
  const { input, progress, signal } = request;
  assertPacking(request);
  await assertNotInput(input, request.output, 'Choose another name for the output.');
  await using file = await openOutputFile(request.output, request);
  await using source = await openAnySource(input, { scratchFor: file.path, progress, signal });
  await using content = await openDiskContent(source, { signal });
  if (content.container !== 'xz') {
    throw new TsbuilderError('TSB_XZ_UNSUPPORTED', `${source.name}: not an xz file`, {
      hint: 'tsbuilder info shows what it is.',
    });
  }
  let sha256 = '';
  await packXz(file.tempPath, request, async (write) => {
    sha256 = await hashed(content, { ...request, label: 'Repacking', write });
  });
  if (request.verify) await assertHolds(file.tempPath, { size: content.size, sha256 }, request);
  const packedSize = (await stat(file.tempPath)).size;
  await file.commit();
  const { path: output } = file;
  const { size } = content;
  return { output, size, sha256, packedBefore: source.size, packedSize, verified: request.verify };
}

function assertPacking({ output, blockSize, preset }: RepackRequest): void {
  if (output === '-') {
    throw new TsbuilderError('TSB_USAGE', 'standard output: a packed file is verified before it appears', {
      hint: 'Name a file as the output.',
    });
  }
  if (blockSize < MIN_BLOCK || blockSize > MAX_BLOCK) {
    throw new TsbuilderError('TSB_USAGE', `a block of ${blockSize} bytes is not between 64 KiB and 1 GiB`);
  }
  if (/^[0-9]e?$/.test(preset)) return;
  throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(preset)} is not a preset of xz`, {
    hint: 'Give 0 to 9, with an e for more effort: 6, 9e.',
  });
}

/** Decodes the content in order, into `write` too. @returns its SHA-256 in lower-case hex */
async function hashed(
  content: DiskContent,
  options: Pick<RepackRequest, 'jobs' | 'progress' | 'signal'> & {
    readonly label: string;
    readonly write?: (data: Uint8Array) => Promise<void>;
  },
): Promise<string> {
  const { jobs, signal, write } = options;
  const hash = createHash('sha256');
  using step = options.progress.step(options.label, content.streamedBytes);
  const sink = orderedSink(async (data) => {
    hash.update(data);
    await write?.(data);
  });
  await content.stream(sink, { jobs, signal, onProgress: (bytes) => step.advance(bytes) });
  return hash.digest('hex');
}

async function assertHolds(
  path: string,
  wanted: { readonly size: number; readonly sha256: string },
  request: RepackRequest,
): Promise<void> {
  await using source = await openFileSource(path);
  await using content = await openDiskContent(source, { signal: request.signal });
  const sha256 = await hashed(content, { ...request, label: 'Verifying' });
  if (content.size === wanted.size && sha256 === wanted.sha256) return;
  throw new TsbuilderError(
    'TSB_CHECKSUM_MISMATCH',
    `${request.output}: what was packed (${wanted.size} bytes, SHA-256 ${wanted.sha256}) is not what can be unpacked ` +
      `(${content.size} bytes, SHA-256 ${sha256})`,
    { hint: 'Check the memory and the disk of this machine.' },
  );
}
