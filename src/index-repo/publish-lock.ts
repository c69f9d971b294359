import { join } from 'node:path';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { writeError } from '../io/free-space.js';
import { type Lock, acquireLock } from '../io/lock-file.js';

/** How a writer of a repository waits for another. */
export interface WriterTurn {
  /** Told once, where another writer has to be waited for. */
  readonly warn?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `action` while nobody else writes the repository in `dir`.
 *
 * @throws TSB_OUTPUT_UNUSABLE where the folder cannot be written, TSB_NO_SPACE, TSB_LOCKED where what is no lock is in the way, the abort reason, and as `action`
 */
export async function asWriter<T>(dir: string, turn: WriterTurn, action: () => Promise<T>): Promise<T> {
  await using _ = await lockRepository(dir, turn);
  return await action();
}

async function lockRepository(dir: string, { warn, signal }: WriterTurn): Promise<Lock> {
  const onWait = (holder: string): void => warn?.(`${dir} is being worked on by ${holder}: waiting for it`);
  try {
    return await acquireLock(join(dir, '.lock'), { onWait, signal });
  } catch (error) {
    const cause = error instanceof TsbuilderError ? error.cause : undefined;
    const code = errnoOf(cause) ?? '';
    if (['EROFS', 'EACCES', 'EPERM', 'ENOENT', 'ENOTDIR'].includes(code)) throw unusable(dir, cause);
    throw ['ENOSPC', 'EDQUOT'].includes(code) ? writeError(dir, cause) : error;
  }
}

function unusable(dir: string, error: unknown): TsbuilderError {
  return new TsbuilderError('TSB_OUTPUT_UNUSABLE', `${dir}: cannot be written: ${messageOf(error)}`, {
    hint: 'A repository is in a folder that you may write to, on a filesystem that is not read-only.',
    cause: error,
  });
}
