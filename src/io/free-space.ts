import { statfs } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { formatSize } from './format-size.js';

/**
 * Passes when at least `bytes` are available to this user on the filesystem of the folder `dir`. A filesystem that
 * does not count its blocks passes too: writing will tell.
 *
 * @throws TSB_NO_SPACE with both numbers, TSB_OUTPUT_UNUSABLE when the folder cannot be examined
 */
export async function assertFreeSpace(dir: string, bytes: number): Promise<void> {
  const available = await freeSpace(dir);
  if (available === undefined || available >= bytes) return;
  throw new TsbuilderError(
    'TSB_NO_SPACE',
    `${dir}: ${formatSize(bytes)} are needed and only ${formatSize(available)} are free`,
    {
      hint: 'Free some space or choose an output on another filesystem.',
      details: { needed: bytes, available },
    },
  );
}

/** Bytes available to this user in `dir`, or undefined on a filesystem that does not count. */
async function freeSpace(dir: string): Promise<number | undefined> {
  try {
    const { bavail, bsize, blocks } = await statfs(dir);
    return blocks === 0 ? undefined : bavail * bsize;
  } catch (error) {
    throw new TsbuilderError(
      'TSB_OUTPUT_UNUSABLE',
      `${dir}: cannot see how much space is free: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * The error to throw when writing to `path` failed: TSB_NO_SPACE for a full disk or quota, TSB_OUTPUT_UNUSABLE where
 * the filesystem cannot hold such a file, TSB_IO for the rest. A TsbuilderError and an abort come back as they are.
 */
export function writeError(path: string, error: unknown): unknown {
  const code = errnoOf(error);
  if (error instanceof TsbuilderError || code === undefined || code === 'ABORT_ERR') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const what = code === 'ENOSPC' ? 'no space left on its filesystem' : 'the disk quota is used up';
    return new TsbuilderError('TSB_NO_SPACE', `${path}: ${what}`, {
      hint: 'Free some space or choose an output on another filesystem.',
      cause: error,
    });
  }
  if (code === 'EFBIG') {
    return new TsbuilderError(
      'TSB_OUTPUT_UNUSABLE',
      `${path}: its filesystem cannot hold a file that large`,
      {
        hint: 'Choose an output on another filesystem, or raise the file size limit (ulimit -f).',
        cause: error,
      },
    );
  }
  return new TsbuilderError('TSB_IO', `${path}: cannot be written: ${messageOf(error)}`, { cause: error });
}
