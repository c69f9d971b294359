import { open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../../errors.js';
import { orAborted } from '../../io/or-aborted.js';

/**
 * The content of a small file of the host, which may be a pipe too: waiting for its writer ends when `signal` is aborted.
 *
 * @throws TSB_NOT_FOUND when it cannot be read, TSB_USAGE when it has more than `maxBytes`
 */
export function readSmallHostFile(path: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
  return orAborted(readBounded(path, maxBytes), signal);
}

async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const chunks: Buffer[] = [];
    let size = 0;
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(65536, maxBytes + 1)));
      if (bytesRead === 0) return Buffer.concat(chunks);
      chunks.push(buffer.subarray(0, bytesRead));
      size += bytesRead;
      if (size > maxBytes) throw tooLarge(path, maxBytes);
    }
  } catch (error) {
    if (error instanceof TsbuilderError) throw error;
    const problem = errnoOf(error) === 'ENOENT' ? 'no such file' : messageOf(error);
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: ${problem}`, { details: { path }, cause: error });
  }
}

function tooLarge(path: string, maxBytes: number): TsbuilderError {
  return new TsbuilderError(
    'TSB_USAGE',
    `${path} has more than the ${maxBytes} bytes that can be used of it`,
    {
      hint: 'Is it the right file?',
      details: { path, maxBytes },
    },
  );
}
