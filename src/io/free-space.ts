import { type StatsFs, statfsSync } from 'node:fs';
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
  const found = await statfs(dir).catch((error: unknown) => {
    throw cannotSee(dir, error);
  });
  compare(dir, bytes, found);
}

/** `assertFreeSpace` for where nothing may be waited for. */
export function assertFreeSpaceSync(dir: string, bytes: number): void {
  let found: StatsFs;
  try {
    found = statfsSync(dir);
  } catch (error) {
    throw cannotSee(dir, error);
  }
  compare(dir, bytes, found);
}

function compare(dir: string, bytes: number, { bavail, bsize, blocks }: StatsFs): void {
  const available = blocks === 0 ? Infinity : bavail * bsize;
  if (available >= bytes) return;
  throw new TsbuilderError(
    'TSB_NO_SPACE',
    `${dir}: ${formatSize(bytes)} are needed and only ${formatSize(available)} are free`,
    {
      hint: 'Free some space or choose an output on another filesystem.',
      details: { needed: bytes, available },
    },
  );
}

function cannotSee(dir: string, error: unknown): TsbuilderError {
  return new TsbuilderError(
    'TSB_OUTPUT_UNUSABLE',
    `${dir}: cannot see how much space is free: ${messageOf(error)}`,
    { cause: error },
  );
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
