import { stat } from 'node:fs/promises';
import { assertNotInput } from '../build/assert-not-input.js';
import { openDiskContent } from '../build/disk-content.js';
import { orderedSink } from '../build/ordered-sink.js';
import { packXz } from '../build/xz-program.js';
import { openFileSource } from '../io/file-source.js';
import { hashSource, startHash } from '../io/hash-content.js';
import { openOutputFile } from '../io/output-file.js';
import type { Progress } from '../progress.js';

/** A disk to pack, and how. */
export interface PackRequest {
  /** Path of a disk image or block device, which is only read. */
  readonly input: string;
  /** Path of the new xz file. */
  readonly output: string;
  /** Bytes of content in each block. */
  readonly blockSize: number;
  /** `0` to `9`, or one of these with an `e`. */
  readonly preset: string;
  /** The integrity check of each block. */
  readonly check: 'none' | 'crc32' | 'crc64' | 'sha256';
  /** Blocks packed at once. */
  readonly jobs: number;
  /** Pack what the disk's filesystems do not use as zeros. */
  readonly sparsify: boolean;
  /** Decode the new file and compare before it appears. */
  readonly verify: boolean;
  readonly force: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was packed. Sizes in bytes. */
export interface PackResult {
  readonly output: string;
  /** Of the disk. */
  readonly size: number;
  readonly packedSize: number;
  /** Of the xz file, in lower-case hex. */
  readonly sha512: string;
  /** Bytes of data that were packed as zeros because nothing on the disk uses them. */
  readonly freed: number;
  /** Blocks that are zero throughout. */
  readonly zeroBlocks: number;
  readonly verified: boolean;
  /** What was told as warnings too. */
  readonly warnings: readonly string[];
}

/**
 * Packs a disk into an xz file of independent blocks. The new file appears when all of it is there and, with `verify`, has been
 * decoded to what was packed; the disk is never changed.
 *
 * @throws TSB_USAGE, TSB_NO_SPACE, TSB_CONTENT_CHANGED when the disk was written to meanwhile, TSB_CHECKSUM_MISMATCH when the new
 *   file holds something else, and the codes of opening the disk and of `openOutputFile`
 */
export async function runPack(request: PackRequest): Promise<PackResult> {
  const { input, progress, signal } = request;
  await assertNotInput(input, request.output, 'Choose another name for the output.');
  await using file = await openOutputFile(request.output, request);
  await using source = await openFileSource(input);
  await using content = await openDiskContent(source, { path: input, signal });
  await packXz(file.tempPath, request, async (write) => {
    using step = progress.step('Packing', content.streamedBytes);
    const sink = orderedSink(write);
    await content.stream(sink, { ...request, onProgress: (bytes) => step.advance(bytes) });
  });
  const hasher = startHash();
  {
    await using packed = await openFileSource(file.tempPath);
    await hashSource(packed, hasher, signal);
  }
  const packedSize = (await stat(file.tempPath)).size;
  await file.commit();
  const { sha512 } = hasher.digest();
  return {
    ...{ output: file.path, size: content.size, packedSize, sha512 },
    ...{ freed: 0, zeroBlocks: 0, verified: false, warnings: [] },
  };
}
