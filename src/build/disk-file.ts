import { lstat, realpath } from 'node:fs/promises';
import { TsbuilderError, errnoOf } from '../errors.js';

/**
 * The own path of the disk file `name`: a link to it stays one when the file is replaced. `purpose` says what only disks in files can be: "customised".
 *
 * @throws TSB_NOT_FOUND, TSB_USAGE when it is not a file
 */
export async function diskFile(name: string, purpose: string): Promise<string> {
  const { path, kind } = await diskPlace(name);
  if (kind === 'file') return path;
  throw new TsbuilderError('TSB_USAGE', `${name}: is not a file`, {
    hint: `Only disks in files can be ${purpose}.`,
  });
}

/** A disk in a file, or one that is a block device. */
export interface DiskPlace {
  readonly path: string;
  readonly kind: 'file' | 'device';
}

/** The own path of the disk `name`, and what it is. @throws TSB_NOT_FOUND, TSB_USAGE when it is neither a file nor a block device */
export async function diskPlace(name: string): Promise<DiskPlace> {
  const path = await realpath(name).catch((error: unknown) => {
    const missing = errnoOf(error) === 'ENOENT';
    throw new TsbuilderError('TSB_NOT_FOUND', `${name}: ${missing ? 'no such disk' : 'cannot be found'}`, {
      cause: error,
    });
  });
  const found = await lstat(path);
  if (found.isFile()) return { path, kind: 'file' };
  if (found.isBlockDevice()) return { path, kind: 'device' };
  throw new TsbuilderError('TSB_USAGE', `${name}: is neither a file nor a block device`);
}
