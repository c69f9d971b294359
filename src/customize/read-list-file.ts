import { open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

const LONGEST = 1024 * 1024;

/**
 * The text of the host's file `path`, which may be a pipe.
 *
 * @throws TSB_NOT_FOUND when it cannot be read, TSB_USAGE when it is a folder, no text or longer than 1 MiB
 */
export async function readListFile(path: string): Promise<string> {
  const bytes = await readBounded(path).catch((error: unknown) => {
    if (error instanceof TsbuilderError) throw error;
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
