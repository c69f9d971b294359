import { open } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { isGzip } from '../gzip/gzip-header.js';
import { dataRanges } from '../image/extents.js';
import { foreignDiskFormat } from '../image/foreign-format.js';
import { isQcow2 } from '../image/qcow2-info.js';
import { openQcow2Source } from '../image/qcow2-source.js';
import type { ByteSource } from '../io/byte-source.js';
import { type FileSource, openFileSource } from '../io/file-source.js';
import type { Range } from '../probe/range.js';
import { isXz } from '../xz/xz-index.js';
import { isZstd } from '../zstd/frame-header.js';
import type { SurveyedImage } from './free/ask-drivers.js';
import { openForeignDisk } from './foreign-disk.js';

/** A disk that is to be packed. Disposing it closes the image. */
export interface PackInput extends AsyncDisposable {
  readonly disk: ByteSource;
  /** What it is read from. */
  readonly image: SurveyedImage;
  /** Where it holds data, ascending. */
  readonly ranges: readonly Range[];
  /** What of the image is not in the disk: sentences. */
  readonly warnings: readonly string[];
}

/** How an image is opened. */
export interface PackInputOptions {
  /** Path of the output: beside it a temporary copy may be made. */
  readonly scratchFor: string;
  readonly signal: AbortSignal;
}

/** As many bytes as the signatures need. */
const HEAD = 512;

/**
 * Opens the disk image or block device `path` for reading: raw, qcow2, and by way of qemu-img VMDK, VDI, VHDX and VHD.
 *
 * @throws TSB_USAGE when it is compressed or needs other files, TSB_IMAGE_INVALID when it is damaged, TSB_TOOL_MISSING,
 *   TSB_NO_SPACE, TSB_NOT_FOUND, TSB_IO
 */
export async function openPackInput(path: string, options: PackInputOptions): Promise<PackInput> {
  const file = await openFileSource(path);
  try {
    const head = await file.read(0, Math.min(HEAD, file.size), options.signal);
    assertNotCompressed(path, head);
    if (isQcow2(head)) return await openQcow2(file, options.signal);
    const format = foreignDiskFormat(head);
    if (format === undefined) return await openRaw(file, options.signal);
    await file[Symbol.asyncDispose]();
    return await openForeign({ path, format }, options);
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}

function assertNotCompressed(path: string, head: Uint8Array): void {
  if (isXz(head)) {
    throw new TsbuilderError('TSB_USAGE', `${path}: is packed with xz already`, {
      hint: `Pack it in other blocks: tsbuilder repack ${path} OUT.xz`,
    });
  }
  if (!isGzip(head) && !isZstd(head)) return;
  throw new TsbuilderError('TSB_USAGE', `${path}: is compressed, and is no disk`, {
    hint: `Unpack it first: tsbuilder cp ${path} disk.img`,
  });
}

async function openRaw(file: FileSource, signal: AbortSignal): Promise<PackInput> {
  const ranges = await rawRanges(file, signal);
  const image = { path: file.name, format: 'raw' } as const;
  return {
    disk: file,
    image,
    ranges,
    warnings: [],
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

/** Where a file has data; all of a device, which has no holes. */
async function rawRanges(file: FileSource, signal: AbortSignal): Promise<Range[]> {
  await using handle = await open(file.name, 'r');
  if (!(await handle.stat()).isFile()) return [{ offset: 0, length: file.size }];
  signal.throwIfAborted();
  return [...dataRanges(file.fd, file.size)];
}

async function openQcow2(file: FileSource, signal: AbortSignal): Promise<PackInput> {
  const disk = await openQcow2Source(file, signal).catch((error: unknown) => {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_IMAGE_INVALID') throw error;
    // A damaged image has no hint: QEMU cannot read it either.
    const hint =
      error.hint && `Make an image of its own first: qemu-img convert -O qcow2 ${file.name} NEW.qcow2`;
    throw new TsbuilderError(error.code, error.message, { hint, cause: error });
  });
  const ranges: Range[] = [];
  for await (const { offset, length, data } of disk.extents(signal))
    if (data) ranges.push({ offset, length });
  const { snapshots, bitmaps } = disk.info;
  const warnings = [
    ...(snapshots === 0 ? [] : [`${file.name}: snapshots in it (${snapshots}) are not packed`]),
    ...(bitmaps ? [`${file.name}: bitmaps of changes in it are not packed`] : []),
  ];
  const image = { path: file.name, format: 'qcow2' } as const;
  return { disk, image, ranges, warnings, [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() };
}

async function openForeign(
  image: { path: string; format: string },
  options: PackInputOptions,
): Promise<PackInput> {
  const copy = await openForeignDisk(image, options);
  try {
    const input = await openRaw(await openFileSource(copy.tempPath), options.signal);
    return {
      ...input,
      async [Symbol.asyncDispose]() {
        await input[Symbol.asyncDispose]();
        await copy[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await copy[Symbol.asyncDispose]();
    throw error;
  }
}
