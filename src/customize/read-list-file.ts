import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { readBounded } from '../io/read-bounded.js';

const LONGEST = 1024 * 1024;

/**
 * The text of the host's file `path`, which may be a pipe: waiting for its writer ends when `signal` is aborted.
 *
 * @throws TSB_NOT_FOUND when it cannot be read, TSB_USAGE when it is a folder, no text or longer than 1 MiB
 */
export async function readListFile(path: string, signal?: AbortSignal): Promise<string> {
  const bytes = await readBounded(path, LONGEST, signal).catch((error: unknown) => {
    signal?.throwIfAborted();
    if (errnoOf(error) === 'EISDIR')
      throw new TsbuilderError('TSB_USAGE', `${path}: is a folder`, { hint: 'Name a file.', cause: error });
    const reason = errnoOf(error) === 'ENOENT' ? 'no such file' : `cannot be read: ${messageOf(error)}`;
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: ${reason}`, { cause: error });
  });
  if (!bytes) throw new TsbuilderError('TSB_USAGE', `${path}: is longer than ${LONGEST} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new TsbuilderError('TSB_USAGE', `${path}: is not UTF-8 text`, { cause: error });
  }
}
