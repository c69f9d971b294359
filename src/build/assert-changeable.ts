import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

/**
 * Checks before any work that the disk `path` may be changed, and, where a copy takes its place, that its folder takes new files. A disk that
 * may only be read is not replaced either, although a folder would allow that.
 *
 * @throws TSB_OUTPUT_UNUSABLE
 */
export async function assertChangeable(
  path: string,
  { byCopy }: { readonly byCopy: boolean },
): Promise<void> {
  await assertWritable(path, `${path}: may not be written`);
  const folder = dirname(path);
  if (!byCopy) return;
  await assertWritable(folder, `${path}: no files can be made in ${folder}, but a copy must be`);
  await assertOwn(path, folder);
}

const STICKY = 0o1000;

/** In a folder such as /tmp only its owner, the file's and root may give the file's name to another one. */
async function assertOwn(path: string, folder: string): Promise<void> {
  const user = process.geteuid?.();
  const place = await stat(folder);
  if (user === 0 || (place.mode & STICKY) === 0 || place.uid === user) return;
  if ((await stat(path)).uid === user) return;
  throw new TsbuilderError(
    'TSB_OUTPUT_UNUSABLE',
    `${path}: only its owner can replace it in ${folder}, whose sticky bit is set`,
    { hint: 'Make another disk: --output FILE.', details: { path } },
  );
}

async function assertWritable(path: string, problem: string): Promise<void> {
  try {
    await access(path, constants.W_OK);
  } catch (error) {
    const reasons: Readonly<Record<string, string>> = {
      EACCES: 'no permission',
      EPERM: 'no permission',
      EROFS: 'the filesystem is mounted read-only',
    };
    const reason = reasons[errnoOf(error) ?? ''] ?? messageOf(error);
    throw new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${problem}: ${reason}`, {
      hint: 'Make another disk: --output FILE.',
      details: { path },
      cause: error,
    });
  }
}
