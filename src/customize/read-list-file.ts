import { open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { orAborted } from '../io/or-aborted.js';

const LONGEST = 1024 * 1024;

/**
 * The text of the host's file `path`, which may be a pipe: waiting for its writer ends when `signal` is aborted.
 *
 * @throws TSB_NOT_FOUND when it cannot be read, TSB_USAGE when it is a folder, no text or longer than 1 MiB
 */
export async function readListFile(path: string, signal?: AbortSignal): Promise<string> {
  const bytes = await orAborted(readBounded(path), signal).catch((error: unknown) => {
    if (error instanceof TsbuilderError || signal?.aborted === true) throw error;
    if (errnoOf(error) === 'EISDIR')
      throw new TsbuilderError('TSB_USAGE', `${path}: is a folder`, { hint: 'Name a file.', cause: error });
    const reason = errnoOf(error) === 'ENOENT' ? 'no such file' : `cannot be read: ${messageOf(error)}`;
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: ${reason}`, { cause: error });
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new TsbuilderError('TSB_USAGE', `${path}: is not UTF-8 text`, { cause: error });
  }
}

async function readBounded(path: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  await using handle = await open(path, 'r');
  for await (const piece of handle.createReadStream({ autoClose: false })) {
    pieces.push(piece as Buffer);
    size += (piece as Buffer).length;
    if (size > LONGEST) throw new TsbuilderError('TSB_USAGE', `${path}: is longer than ${LONGEST} bytes`);
  }
  return Buffer.concat(pieces);
}
