import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

/** The folder for large temporary files: `$TMPDIR`, else `/var/tmp`, which unlike `/tmp` is rarely held in memory. */
export async function temporaryFolder(): Promise<string> {
  if (process.env['TMPDIR']) return tmpdir();
  const varTmp = await stat('/var/tmp').catch(() => undefined);
  return varTmp?.isDirectory() === true ? '/var/tmp' : tmpdir();
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such folder',
  ENOTDIR: 'is not a folder',
  EACCES: 'no permission to make files there',
  EROFS: 'its filesystem is read-only',
};

/**
 * Makes a new folder of mode 0700 with a name that begins with `prefix`, in `parent`, by default the system's temporary folder.
 *
 * @returns its path
 * @throws TSB_NO_SPACE or TSB_OUTPUT_UNUSABLE, which name `parent` and how to choose another
 */
export async function makeTemporaryFolder(prefix: string, parent: string = tmpdir()): Promise<string> {
  return mkdtemp(join(parent, prefix)).catch((error: unknown) => {
    const errno = errnoOf(error) ?? '';
    const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
    const why = isFull ? 'no space left on its filesystem' : (REASONS[errno] ?? messageOf(error));
    throw new TsbuilderError(
      isFull ? 'TSB_NO_SPACE' : 'TSB_OUTPUT_UNUSABLE',
      `temporary files cannot be made in ${parent}: ${why}`,
      { hint: 'Choose another folder for them: TMPDIR=FOLDER.', details: { path: parent }, cause: error },
    );
  });
}
