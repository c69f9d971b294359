import { lstat, realpath } from 'node:fs/promises';
import { TsbuilderError, errnoOf } from '../errors.js';

/**
 * The own path of the disk file `name`: a link to it stays one when the file is replaced. `purpose` says what only disks in files can be: "made sparse".
 *
 * @throws TSB_NOT_FOUND, TSB_USAGE when it is not a file
 */
export async function diskFile(name: string, purpose: string): Promise<string> {
  const path = await realpath(name).catch((error: unknown) => {
    const missing = errnoOf(error) === 'ENOENT';
    throw new TsbuilderError('TSB_NOT_FOUND', `${name}: ${missing ? 'no such disk' : 'cannot be found'}`, {
      cause: error,
    });
  });
  if ((await lstat(path)).isFile()) return path;
  throw new TsbuilderError('TSB_USAGE', `${name}: is not a file`, {
    hint: `Only disks in files can be ${purpose}.`,
  });
}
