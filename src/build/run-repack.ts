import { createHash } from 'node:crypto';
import { TsbuilderError } from '../errors.js';
import { openAnySource } from '../io/open-any-source.js';
import { openOutputFile } from '../io/output-file.js';
import { forEachParallel } from '../io/parallel.js';
import type { Progress } from '../progress.js';
import { type XzCheck, assertPacking } from '../xz/encode-options.js';
import { assertNotInput } from './assert-not-input.js';
import { createContentPipe } from './content-pipe.js';
import { type DiskContent, openDiskContent } from './disk-content.js';
import { orderedSink } from './ordered-sink.js';
import { type PackContent, type PackOptions, type PackedFile, packXz, verifyPacked } from './pack-xz.js';

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
  readonly check: XzCheck;
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

/**
 * Packs the content of an xz file anew, in blocks that can be decoded in parallel and one by one. The new file appears when all of it
 * is there and, with `verify`, has been decoded to what was packed.
 *
 * @throws TSB_USAGE, TSB_XZ_UNSUPPORTED when the source is not xz, TSB_CHECKSUM_MISMATCH when the new file holds something else, and
 *   the codes of the decoder, of `packXz` and of `openOutputFile`
 */
export async function runRepack(request: RepackRequest): Promise<RepackResult> {
  const { input, progress, signal } = request;
  assertNotStdout(request);
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
  const { packed, sha256 } = await packContent(content, file.tempPath, request);
  if (request.verify) await verifyPacked(file.tempPath, packed, packing(request));
  await file.commit();
  const { path: output } = file;
  const { size, packedSize } = packed;
  return { output, size, sha256, packedBefore: source.size, packedSize, verified: request.verify };
}

function assertNotStdout({ output }: RepackRequest): void {
  if (output !== '-') return;
  throw new TsbuilderError('TSB_USAGE', 'standard output: a packed file is verified before it appears', {
    hint: 'Name a file as the output.',
  });
}

function packing(request: RepackRequest): PackOptions {
  return { ...request, name: request.output };
}

/** Decodes the content in order and packs it, in one pass. The SHA-256 is that of the content in lower-case hex. */
async function packContent(
  content: DiskContent,
  path: string,
  request: RepackRequest,
): Promise<{ readonly packed: PackedFile; readonly sha256: string }> {
  const { jobs, signal } = request;
  const hash = createHash('sha256');
  const pipe = createContentPipe();
  using step = request.progress.step('Repacking', content.streamedBytes);
  const decode = async (inner: AbortSignal): Promise<void> => {
    const sink = orderedSink(async (data) => {
      hash.update(data);
      await pipe.write(data, inner);
    });
    await content.stream(sink, { jobs, signal: inner, onProgress: (bytes) => step.advance(bytes) });
  };
  const fill: PackContent['fill'] = async (_, into, inner) => {
    await pipe.fill(into, inner);
    return true;
  };
  let packed: PackedFile | undefined;
  const encode = async (inner: AbortSignal): Promise<void> => {
    packed = await packXz(path, { size: content.size, fill }, { ...packing(request), signal: inner });
  };
  await forEachParallel([decode, encode], (half, inner) => half(inner), { jobs: 2, signal });
  if (!packed) throw new Error('packing ended without a result');
  return { packed, sha256: hash.digest('hex') };
}
