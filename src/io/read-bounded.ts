import { createReadStream } from 'node:fs';
import { orAborted } from './or-aborted.js';

/**
 * The content of the file `path`, or what comes out of it where it is a pipe. Waiting for a pipe's writer ends when `signal` is aborted.
 *
 * @returns undefined when there are more than `maxBytes` bytes
 * @throws the system's error when it cannot be read
 */
export function readBounded(
  path: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Buffer | undefined> {
  return orAborted(readPieces(path, maxBytes), signal);
}

async function readPieces(path: string, maxBytes: number): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  for await (const piece of createReadStream(path, { end: maxBytes })) pieces.push(piece as Buffer);
  const content = Buffer.concat(pieces);
  return content.length > maxBytes ? undefined : content;
}
