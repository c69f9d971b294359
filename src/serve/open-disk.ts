import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { countingSource } from '../io/counting-source.js';
import { openFileSource } from '../io/file-source.js';
import { openAnySource } from '../io/open-any-source.js';
import { redactUrl } from '../io/redact-url.js';
import type { SourceLocation } from '../io/source-location.js';
import { locateDisk } from './disk-location.js';
import { openImage, servedDisk } from './open-image.js';
import { orDispose } from './or-dispose.js';
import { openPartition } from './partition-disk.js';
import type { ServedDisk, ServedDiskOptions } from './served-disk.js';
import { openTemplateDisk } from './template-disk.js';

export type { ServedDisk, ServedDiskOptions, ServedFormat } from './served-disk.js';

/**
 * Opens the disk in `src` for random access: a path, a `file:` or `http(s):` URL, or the name of a template (a word that is not the name
 * of a file). What it is, its content tells: raw, xz, gzip, zstd or qcow2, and a qcow2 image in a compressed file.
 *
 * @throws TSB_NOT_FOUND, TSB_NOT_VERIFIED when it cannot be verified and must be, TSB_PARTITION_NOT_FOUND, TSB_CHECKSUM_MISMATCH, and the
 *   codes of sources, indexes and formats
 */
export async function openServedDisk(src: string, options: ServedDiskOptions): Promise<ServedDisk> {
  const location = await locateDisk(src);
  const disk =
    location.kind === 'template'
      ? await openTemplateDisk(location.name, options)
      : await openPlainDisk(location, options);
  const { partition: number } = options;
  if (number === undefined) return disk;
  const partition = await orDispose(disk, () => openPartition(disk, number, options.signal));
  const { format, protection } = disk;
  return servedDisk(partition, { format, protection });
}

async function openPlainDisk(location: SourceLocation, options: ServedDiskOptions): Promise<ServedDisk> {
  if (options.requireVerified === true) throw notVerifiable(location);
  const { counters, signal } = options;
  if (location.kind === 'file') {
    const file = await openFileSource(location.path);
    return openImage({ source: countingSource(file, counters), fd: file.fd }, options);
  }
  const http = { ...options.http, counters };
  const { spill, progress } = options;
  const scratchFor = spill === undefined ? undefined : await nameIn(spill);
  const source = await openAnySource(location.url, { http, scratchFor, progress, signal });
  return openImage({ source, isHere: source.isHere }, options);
}

/** A name beside the cache file, or in the folder that it is to be in. */
async function nameIn(spill: string): Promise<string> {
  const found = await stat(spill).catch(() => undefined);
  return found?.isDirectory() === true ? join(spill, 'download') : spill;
}

function notVerifiable(location: SourceLocation): TsbuilderError {
  const name = location.kind === 'file' ? location.path : redactUrl(location.url);
  return new TsbuilderError('TSB_NOT_VERIFIED', `${name}: nobody vouches for what is in it`, {
    hint: 'Only templates with a block map in a signed index can be verified: give the name of one.',
  });
}
