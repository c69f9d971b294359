import {
  type ContentTarget,
  type TargetRequest,
  type WritableContent,
  openContentTarget,
} from '../build/content-target.js';
import type { DiskContent } from '../build/disk-content.js';
import type { ByteSource } from '../io/byte-source.js';
import { newCounters } from '../io/counters.js';
import { defaultCacheBytes } from './cache-bytes.js';
import { locateDisk } from './disk-location.js';
import { streamOfDisk } from './disk-stream.js';
import { openFlowing } from './flowing-content.js';
import { type ServedDisk, type ServedDiskOptions, openServedDisk } from './open-disk.js';
import { openImage } from './open-image.js';
import { orDispose } from './or-dispose.js';
import { openPlainImage } from './plain-image.js';

/** What to copy, and how: the options of the output, and of opening the image. */
export interface CopyRequest extends TargetRequest {
  /** What the image file is taken to be. Default: what it looks like. */
  readonly inputFormat?: ServedDiskOptions['format'];
  /** Copy only this partition. */
  readonly partition?: number | undefined;
  readonly templates: ServedDiskOptions['templates'];
  readonly arch?: string | undefined;
  readonly requireVerified: boolean;
  readonly http?: ServedDiskOptions['http'];
}

/** What was copied: sizes in bytes. */
export interface CopyResult {
  readonly output: string;
  /** Of the image that was read. */
  readonly sourceFormat: string;
  readonly protection: string;
  readonly size: number;
  /** Bytes that the output file occupies; absent for a device and for standard output. */
  readonly allocated?: number;
}

/**
 * Copies the disk in an image, or one of its partitions, to a raw or qcow2 file, a device or standard output: in parallel, zeros as
 * holes. A new file appears when all is there and was found whole.
 *
 * @throws as `openServedDisk` and `openContentTarget`, and the codes of reading and writing
 */
export async function runCopy(request: CopyRequest): Promise<CopyResult> {
  await using target = await openContentTarget(request);
  await using opened = await openContent(request, target);
  const { content, format, protection } = opened;
  const written = await target.write(content);
  return { output: target.output, sourceFormat: format, protection, size: content.size ?? 0, ...written };
}

interface Opened extends AsyncDisposable {
  readonly content: WritableContent;
  readonly format: string;
  readonly protection: string;
}

async function openContent(request: CopyRequest, target: ContentTarget): Promise<Opened> {
  const { input, inputFormat: format, partition, requireVerified, http, progress, signal } = request;
  const options = diskOptions(request);
  const location = await locateDisk(input);
  if (location.kind === 'template' || partition !== undefined || requireVerified) {
    return streamed(await openServedDisk(input, options), signal);
  }
  const { scratchFor, takesAnySize } = target;
  const image = await openPlainImage(location, { format, scratchFor, progress, http, signal });
  const { source, isHere } = image;
  if (image.xz) return wholeXz(image.xz, source);
  const how = { format, local: isHere, signal };
  const flowing = takesAnySize ? await orDispose(source, () => openFlowing(source, how)) : undefined;
  if (flowing) return { ...flowing, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
  return streamed(await openImage(image, options), signal);
}

/** Decoded straight into the output: every block once, in any order, without a cache. */
function wholeXz(content: DiskContent, source: ByteSource): Opened {
  return {
    content,
    format: 'xz',
    protection: 'only the integrity checks inside the xz file protect the data',
    async [Symbol.asyncDispose]() {
      await content[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}

async function streamed(disk: ServedDisk, signal: AbortSignal): Promise<Opened> {
  const { format, protection } = disk;
  const content = await orDispose(disk, () => streamOfDisk(disk, format, signal));
  return { content, format, protection, [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose]() };
}

function diskOptions(request: CopyRequest): ServedDiskOptions {
  const { jobs, inputFormat: format, partition, templates, arch, requireVerified, http } = request;
  const { progress, signal } = request;
  const cache = { cacheBytes: defaultCacheBytes(), counters: newCounters() };
  return { ...cache, jobs, format, partition, templates, arch, requireVerified, http, progress, signal };
}
