import { constants } from 'node:fs';
import { chmod, copyFile, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TsbuilderError, errnoOf } from '../errors.js';
import { convertImage, convertToRaw } from '../image/convert-image.js';
import { isGzip } from '../gzip/gzip-header.js';
import { type Qcow2Info, isQcow2, readQcow2Info } from '../image/qcow2-info.js';
import { countQcow2Clusters } from '../image/qcow2-source.js';
import type { Qcow2Options } from '../image/qcow2-writer.js';
import type { ByteSource } from '../io/byte-source.js';
import { openFileSource } from '../io/file-source.js';
import { assertFreeSpace } from '../io/free-space.js';
import type { Progress } from '../progress.js';
import { isZstd } from '../zstd/frame-header.js';
import { isXz } from '../xz/xz-index.js';
import { copySparse } from './copy-sparse.js';
import { openDiskContent } from './disk-content.js';

/** What kind of image a disk is, and, of qcow2, how it is to be written again. */
export type ImageKind =
  | { readonly format: 'raw' }
  | {
      readonly format: 'qcow2';
      readonly options: Required<Pick<Qcow2Options, 'clusterSize'>> & Qcow2Options;
    };

/** How a disk is copied. */
export interface CopyOptions {
  readonly jobs: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const HEAD = 6;

/** How the kind of an image is told. */
export interface ImageKindOptions {
  /** What it is, where its content must not decide: a guest can write the header of a qcow2 image into its raw disk. */
  readonly format?: ImageKind['format'] | undefined;
  readonly signal: AbortSignal;
}

/**
 * Tells what kind of image the file `path` is, unless `format` does: raw when it is no other that is known.
 *
 * @throws TSB_IMAGE_INVALID when it is not the qcow2 image that it has to be; TSB_USAGE when it is compressed, or a qcow2 image with more in it
 *   than one disk, which a new image would lose
 */
export async function imageKind(path: string, options: ImageKindOptions): Promise<ImageKind> {
  const { format, signal } = options;
  if (format === 'raw') return { format };
  await using source = await openFileSource(path);
  const head = await source.read(0, Math.min(HEAD, source.size), signal);
  if (format === undefined) assertUnpacked(path, head);
  if (format === undefined && !isQcow2(head)) return { format: 'raw' };
  const info = await readQcow2Info(source, signal);
  assertPlain(path, info);
  const { clusterSize, compression } = info;
  const packed = await isPacked(source, signal);
  return { format: 'qcow2', options: { clusterSize, compress: packed ? compression : undefined } };
}

/** What unpacks a compressed disk, and keeps the file it was in. */
const PACKED = [
  { format: 'xz', is: isXz, unpack: 'tsbuilder unxz' },
  { format: 'gzip', is: isGzip, unpack: 'gunzip --keep' },
  { format: 'zstd', is: isZstd, unpack: 'unzstd' },
] as const;

function assertUnpacked(path: string, head: Uint8Array): void {
  const found = PACKED.find(({ is }) => is(head));
  if (!found) return;
  throw new TsbuilderError('TSB_USAGE', `${path}: is compressed with ${found.format}`, {
    hint: `Unpack it first: ${found.unpack} ${path}`,
    details: { path, compression: found.format },
  });
}

/** An image is compressed when more of its clusters are than are not: what a guest has written since never is. */
async function isPacked(source: ByteSource, signal: AbortSignal): Promise<boolean> {
  const { plainClusters, packedClusters } = await countQcow2Clusters(source, signal);
  return packedClusters > plainClusters;
}

function assertPlain(path: string, info: Qcow2Info): void {
  const extra = [
    info.backingFile === undefined ? undefined : `a backing file (${info.backingFile})`,
    info.snapshots === 0 ? undefined : `snapshots (${info.snapshots})`,
    info.bitmaps ? 'bitmaps of changes' : undefined,
    info.encrypted ? 'encryption' : undefined,
    info.externalData ? 'its data in another file' : undefined,
  ].filter((each) => each !== undefined);
  if (extra.length === 0) return;
  throw new TsbuilderError('TSB_USAGE', `${path}: has ${extra.join(' and ')}, which a new image would lose`, {
    hint: `Make an image of its own first: qemu-img convert -O qcow2 ${path} NEW.qcow2`,
  });
}

/**
 * Makes the empty file `target` a raw copy of the disk in the image `path`: sharing its blocks where the filesystem can, else
 * with its holes.
 *
 * @throws TSB_NO_SPACE before anything is copied, and as the conversions
 */
export async function copyToRaw(
  image: { path: string; kind: ImageKind },
  target: string,
  options: CopyOptions,
): Promise<void> {
  const { path, kind } = image;
  if (kind.format === 'raw' && (await reflink(path, target))) return;
  const bytes = await dataBytes(path, { format: kind.format, signal: options.signal });
  await assertFreeSpace(dirname(target), bytes);
  using step = options.progress.step('Copying', bytes);
  const how = { ...options, onProgress: (done: number) => step.advance(done) };
  if (kind.format !== 'raw') await convertToRaw(path, target, how);
  else if (!(await copySparse(path, target, how)))
    await convertImage(path, target, { ...how, format: 'raw' });
}

async function dataBytes(path: string, options: ImageKindOptions): Promise<number> {
  await using source = await openFileSource(path);
  await using content = await openDiskContent(source, { path, ...options });
  return content.estimatedAllocation;
}

/** @returns false when the filesystem cannot share blocks; `target` is then an empty file again */
async function reflink(path: string, target: string): Promise<boolean> {
  const { mode } = await stat(target);
  try {
    await copyFile(path, target, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (!['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY'].includes(errnoOf(error) ?? ''))
      throw error;
    // Having failed, copyFile has removed the file.
    await (await open(target, 'a', mode & 0o777)).close();
    await chmod(target, mode & 0o777);
    return false;
  }
}
