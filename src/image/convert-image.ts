import { type FileHandle, open, unlink } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { exec } from '../io/exec.js';
import { openError, openFileSource, readFully } from '../io/file-source.js';
import { encodeJobs } from '../io/native.js';
import { forEachParallel } from '../io/parallel.js';
import { noFlushEnv } from '../io/quiet-flush.js';
import type { DiskWriter } from './disk-writer.js';
import { dataRanges } from './extents.js';
import { clusterCodec } from './qcow2-compress.js';
import { planGeometry } from './qcow2-format.js';
import { openQcow2Source } from './qcow2-source.js';
import {
  DEFAULT_CLUSTER_SIZE,
  type Qcow2Options,
  type Qcow2Writer,
  openQcow2Writer,
} from './qcow2-writer.js';
import { openRawWriter } from './raw-writer.js';
import { createTurns } from './turns.js';
import { splitZeroRuns } from './zero.js';

/** How `qemu-img` is asked for the formats that it writes for us. */
const QEMU_FORMATS = {
  vmdk: [],
  vdi: [],
  vhdx: [],
  // Without this the size would be rounded to what old BIOS geometry can express.
  vpc: ['-o', 'force_size=on'],
} as const satisfies Record<string, readonly string[]>;

/** Every format that a disk can be written in; raw and qcow2 need no tool. */
export const supportedFormats = [
  'raw',
  'qcow2',
  ...(Object.keys(QEMU_FORMATS) as (keyof typeof QEMU_FORMATS)[]),
] as const;

export type ImageFormat = (typeof supportedFormats)[number];

/** How a disk is converted. */
export interface ConvertOptions extends Qcow2Options {
  /** Called with bytes of data (not of holes) done since the last call. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const QEMU_PACKAGE = 'qemu-utils';

/** Bytes read at once: enough to keep the disk busy, little enough to spread over the jobs. */
const CHUNK = 2 * 1024 * 1024;

/** The pieces in which zeros are looked for. */
const ZERO_RUN = 65536;

/**
 * Writes the raw disk `rawPath` to the new, empty file `outPath` (made by `openOutputFile`) in `options.format`. Holes
 * and zero runs stay unallocated; nothing is flushed.
 *
 * @throws TSB_USAGE for a format that is not in `supportedFormats`, TSB_TOOL_MISSING when `qemu-img` is needed and not
 *   there, and as the writers
 */
export async function convertImage(
  rawPath: string,
  outPath: string,
  options: ConvertOptions & { readonly format: string },
): Promise<void> {
  const format = parseFormat(options.format);
  if (format === 'qcow2') await convertToQcow2(rawPath, outPath, options);
  else if (format === 'raw') await copyRaw(rawPath, outPath, options);
  else await convertByQemu(rawPath, outPath, { format, signal: options.signal });
}

/**
 * Writes the raw disk `rawPath` to the new, empty file `outPath` as qcow2. The bytes of the image depend on the content
 * of the disk and on the options, not on the number of jobs nor on where the raw file has holes. Throws as
 * `openQcow2Writer`.
 */
export async function convertToQcow2(
  rawPath: string,
  outPath: string,
  options: ConvertOptions = {},
): Promise<void> {
  await using raw = await openForCopy(rawPath);
  await using writer = await openQcow2Writer(outPath, raw.size, options);
  await copyInOrder(raw, writer, options);
  await writer.finish();
}

/** Jobs read and pack different chunks at once; each chunk gets its place after those before it on the disk. */
async function copyInOrder(raw: RawInput, writer: Qcow2Writer, options: ConvertOptions): Promise<void> {
  const buffers: Buffer[] = [];
  const turns = createTurns();
  const ranges = widened(dataRanges(raw.handle.fd, raw.size), Math.max(ZERO_RUN, writer.clusterSize));
  await forEachParallel(
    chunks(ranges, CHUNK),
    async ({ offset, length }, signal) => {
      const turn = turns.take();
      try {
        const buffer = buffers.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
        const present = Math.min(length, raw.size - offset);
        await readFully(raw.path, raw.handle, { data: buffer.subarray(0, present), offset, signal });
        const whole = Math.ceil(present / writer.clusterSize) * writer.clusterSize;
        const write = await writer.prepare(offset, buffer.fill(0, present, whole).subarray(0, whole));
        await turn.begun;
        signal.throwIfAborted();
        const written = write();
        turn.end();
        await written;
        buffers.push(buffer);
        options.onProgress?.(present);
      } finally {
        turn.end();
      }
    },
    { jobs: encodeJobs(options.jobs), signal: options.signal },
  );
}

/** The ranges, ascending, grown to whole multiples of `size`, each of which is in one of them at most. */
function* widened(ranges: Iterable<Chunk>, size: number): Iterable<Chunk> {
  let done = 0;
  for (const { offset, length } of ranges) {
    const start = Math.max(done, offset - (offset % size));
    done = Math.max(done, Math.ceil((offset + length) / size) * size);
    if (done > start) yield { offset: start, length: done - start };
  }
}

async function copyRaw(rawPath: string, outPath: string, options: ConvertOptions): Promise<void> {
  await using raw = await openForCopy(rawPath);
  await using writer = await openRawWriter(outPath, raw.size);
  await copyData(raw, writer, options);
  await writer.finish();
}

/**
 * Writes the disk inside the qcow2 image `qcow2Path` to the new, empty file `outPath` as a sparse raw disk, without QEMU.
 *
 * @throws TSB_IMAGE_INVALID when the image is damaged or needs other files (a backing file is never opened), and as
 *   `openRawWriter`
 */
export async function convertToRaw(
  qcow2Path: string,
  outPath: string,
  options: ConvertOptions = {},
): Promise<void> {
  await using file = await openFileSource(qcow2Path);
  await using disk = await openQcow2Source(file, options.signal);
  await using writer = await openRawWriter(outPath, disk.size);
  const jobs = encodeJobs(options.jobs);
  for await (const extent of disk.extents(options.signal)) {
    if (!extent.data) continue;
    await forEachParallel(
      chunks([extent], CHUNK),
      (chunk, signal) => copyChunk(disk, writer, { chunk, signal, options }),
      {
        jobs,
        signal: options.signal,
      },
    );
  }
  await writer.finish();
}

interface Chunk {
  readonly offset: number;
  readonly length: number;
}

async function copyChunk(
  source: ByteSource,
  writer: DiskWriter,
  work: { chunk: Chunk; signal: AbortSignal; options: ConvertOptions },
): Promise<void> {
  const { chunk, signal, options } = work;
  await writeRuns(writer, chunk.offset, await source.read(chunk.offset, chunk.length, signal));
  options.onProgress?.(chunk.length);
}

interface RawInput extends AsyncDisposable {
  readonly path: string;
  readonly handle: FileHandle;
  readonly size: number;
}

async function openForCopy(path: string): Promise<RawInput> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw openError(path, error);
  });
  const { size } = await handle.stat();
  return { path, handle, size, [Symbol.asyncDispose]: () => handle.close() };
}

async function copyData(raw: RawInput, writer: DiskWriter, options: ConvertOptions): Promise<void> {
  const jobs = encodeJobs(options.jobs);
  const buffers: Buffer[] = [];
  await forEachParallel(
    chunks(dataRanges(raw.handle.fd, raw.size), CHUNK),
    async ({ offset, length }, signal) => {
      const buffer = buffers.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
      const data = buffer.subarray(0, length);
      await readFully(raw.path, raw.handle, { data, offset, signal });
      await writeRuns(writer, offset, data);
      buffers.push(buffer);
      options.onProgress?.(length);
    },
    { jobs, signal: options.signal },
  );
}

/** Pieces of the ranges that end at multiples of `size`, so that no two of them share a cluster. */
function* chunks(ranges: Iterable<Chunk>, size: number): Iterable<Chunk> {
  for (const range of ranges) {
    const end = range.offset + range.length;
    for (let at = range.offset; at < end;) {
      const length = Math.min(end - at, size - (at % size));
      yield { offset: at, length };
      at += length;
    }
  }
}

async function writeRuns(writer: DiskWriter, offset: number, data: Uint8Array): Promise<void> {
  for (const run of splitZeroRuns(data, offset)) if (run.data) await writer.write(run.offset, run.data);
}

/** `qemu-img` makes the file itself: given one that exists it would truncate it, and ext4 then flush it at close. */
async function convertByQemu(
  rawPath: string,
  outPath: string,
  options: { format: keyof typeof QEMU_FORMATS; signal: AbortSignal | undefined },
): Promise<void> {
  const { format, signal } = options;
  await unlink(outPath);
  const files = ['-f', 'raw', '-O', format, ...QEMU_FORMATS[format], '--', rawPath, outPath];
  await exec('qemu-img', ['convert', '-t', 'unsafe', ...files], {
    signal,
    // Even so some of its drivers flush between their steps.
    env: noFlushEnv(),
    debianPackage: QEMU_PACKAGE,
  });
}

/**
 * Passes when a disk (of `size` bytes, where that is known) can be written in `format` with these options here: worth a call
 * before any work.
 *
 * @throws TSB_USAGE for a format that is not in `supportedFormats`, and for options that the format does not have or that
 *   are impossible; TSB_TOOL_MISSING when it needs `qemu-img` or a zstd library
 */
export async function assertFormat(
  format: string,
  options: Qcow2Options & { readonly size?: number | undefined } = {},
): Promise<void> {
  const known = parseFormat(format);
  const { compress, clusterSize, size = 0 } = options;
  if (known === 'qcow2') {
    planGeometry(size, clusterSize ?? DEFAULT_CLUSTER_SIZE);
    if (compress) clusterCodec(compress);
    return;
  }
  if (compress !== undefined || clusterSize !== undefined) {
    const option = compress === undefined ? '--cluster-size' : '--compress';
    throw new TsbuilderError('TSB_USAGE', `${option} is for qcow2, and the format is ${known}`, {
      hint: 'Add --format qcow2, or leave the option away.',
    });
  }
  if (known !== 'raw') await exec('qemu-img', ['--version'], { debianPackage: QEMU_PACKAGE });
}

function parseFormat(format: string): ImageFormat {
  const known = supportedFormats.find((name) => name === format);
  if (known !== undefined) return known;
  throw new TsbuilderError('TSB_USAGE', `${format}: unknown disk format`, {
    hint: `Known formats: ${supportedFormats.join(', ')}`,
  });
}
