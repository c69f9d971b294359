import { TsbuilderError, errnoOf, messageOf } from '../../errors.js';
import { readBounded } from '../../io/read-bounded.js';

/**
 * The content of a small file of the host, which may be a pipe too: waiting for its writer ends when `signal` is aborted.
 *
 * @throws TSB_NOT_FOUND when it cannot be read, TSB_USAGE when it has more than `maxBytes`
 */
export async function readSmallHostFile(
  path: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const content = await readBounded(path, maxBytes, signal).catch((error: unknown) => {
    signal?.throwIfAborted();
    const problem = errnoOf(error) === 'ENOENT' ? 'no such file' : messageOf(error);
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: ${problem}`, { details: { path }, cause: error });
  });
  if (content) return content;
  throw new TsbuilderError(
    'TSB_USAGE',
    `${path} has more than the ${maxBytes} bytes that can be used of it`,
    { hint: 'Is it the right file?', details: { path, maxBytes } },
  );
}
