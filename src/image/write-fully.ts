import type { FileHandle } from 'node:fs/promises';
import { writeError } from '../io/free-space.js';
import { zeroBytes } from './zero.js';

const ZERO_STEP = 1024 * 1024;

/** A file that is open for writing, and its path for messages. */
export interface WriteTarget {
  readonly path: string;
  readonly handle: FileHandle;
}

/**
 * Writes all of `data` at file position `offset`.
 *
 * @throws TSB_NO_SPACE, TSB_OUTPUT_UNUSABLE (file too large) or TSB_IO
 */
export async function writeFully(target: WriteTarget, offset: number, data: Uint8Array): Promise<void> {
  try {
    for (let done = 0; done < data.length;) {
      const { bytesWritten } = await target.handle.write(data, done, data.length - done, offset + done);
      done += bytesWritten;
    }
  } catch (error) {
    throw writeError(target.path, error);
  }
}

/** Writes `length` real zeros at file position `offset`. Throws as `writeFully`. */
export async function writeZeros(target: WriteTarget, offset: number, length: number): Promise<void> {
  for (let done = 0; done < length; done += ZERO_STEP) {
    await writeFully(target, offset + done, zeroBytes(Math.min(ZERO_STEP, length - done)));
  }
}
