import { TsbuilderError } from '../errors.js';
import { newCounters } from '../io/counters.js';
import type { ByteSource } from '../io/byte-source.js';
import { type DiskSource, opaqueDisk } from '../io/disk-source.js';
import { openAnySource } from '../io/open-any-source.js';
import { locateDisk } from './disk-location.js';
import { type ImageFiles, openImageFiles } from './image-files.js';
import { type ServedDiskOptions, openServedDisk } from './open-disk.js';
import { openImage } from './open-image.js';
import { openPlainImage } from './plain-image.js';
import { openTemplateFile } from './template-disk.js';

/** Memory for decoded blocks: enough for the few that looking at files needs. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** Which filesystem to look into, and how its image is opened. */
export interface LookRequest {
  /** Path, URL or template name. */
  readonly src: string;
  readonly partition?: number | undefined;
  readonly open: Omit<ServedDiskOptions, 'cacheBytes' | 'counters' | 'partition' | 'spill'>;
}

/**
 * Opens the filesystem that `request` means, runs `look`, and closes all again. Only what is needed is fetched and decoded: of a plain
 * xz file the beginnings of blocks, of everything else whole blocks.
 *
 * @throws as `openServedDisk` and `openImageFiles`, and what `look` throws; for a path that is not in the image TSB_NOT_FOUND
 */
export async function lookInto<T>(request: LookRequest, look: (found: ImageFiles) => Promise<T>): Promise<T> {
  const { partition, open } = request;
  const { progress, signal } = open;
  await using disk = await openForLooking(request);
  const found = await openImageFiles(disk, { partition, progress, signal });
  try {
    return await look(found);
  } catch (error) {
    throw notFoundInside(error);
  }
}

/** A path that the user named and that is not in the image is not found, like any other; the guest is as it should be. */
function notFoundInside(error: unknown): unknown {
  if (!(error instanceof TsbuilderError) || error.code !== 'TSB_GUEST') return error;
  if (error.details['reason'] !== 'not-found') return error;
  const { hint, details } = error;
  return new TsbuilderError('TSB_NOT_FOUND', error.message, { hint, details, cause: error });
}

/**
 * Opens the file that `src` means, as it is: a path, a URL or a template, which is verified as a whole.
 *
 * @returns with its path where it is a file on this machine that the user named
 * @throws as `openAnySource` and `openTemplateFile`
 */
export async function openFileForLooking({
  src,
  open,
}: LookRequest): Promise<ByteSource & { readonly path?: string | undefined }> {
  const location = await locateDisk(src);
  if (location.kind === 'template')
    return openTemplateFile(location.name, { ...open, cacheBytes: CACHE_BYTES, counters: newCounters() });
  const { http, progress, signal } = open;
  const source = await openAnySource(src, { http, progress, signal });
  return location.kind === 'file' ? { ...source, path: location.path } : source;
}

/** Opens the disk of `request` as {@link lookInto} does, whatever its partition. @throws as `openServedDisk` */
export async function openForLooking({ src, open }: LookRequest): Promise<DiskSource> {
  const options = { ...open, cacheBytes: CACHE_BYTES, counters: newCounters() };
  const location = await locateDisk(src);
  if (location.kind === 'template' || open.requireVerified) return openServedDisk(src, options);
  const { format, http, progress, signal } = open;
  const image = await openPlainImage(location, { format, http, progress, signal });
  const { xz, source } = image;
  if (!xz) return openImage(image, options);
  return {
    ...opaqueDisk(xz.disk),
    async [Symbol.asyncDispose]() {
      await xz[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}
