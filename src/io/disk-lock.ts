import { open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { isLockedByOthers, lockShared } from './libc.js';

/** QEMU's way of sharing an image (block/file-posix.c): a lock on byte 100 + N says "I do N", on byte 200 + N "nobody else may do N". */
const READS = { offset: 100, length: 1 };
const NOBODY_WRITES = { offset: 201, length: 1 };

/** A disk image that is being worked on. Disposing it lets it go. */
export interface DiskLock extends AsyncDisposable {
  /** The open file that has the locks. A program that it is handed to keeps them, also when this process is killed. */
  readonly fd: number;
  /**
   * Passes while the image is as it was when it was locked.
   *
   * @throws TSB_CONTENT_CHANGED
   */
  assertUnchanged(): Promise<void>;
}

/**
 * Makes sure that no running machine uses the disk image `path`, and keeps QEMU from starting one on it meanwhile. Where locks
 * cannot be asked for, only changes are noticed.
 *
 * @throws TSB_NOT_FOUND when it cannot be opened, TSB_LOCKED when it is in use
 */
export async function lockDisk(path: string): Promise<DiskLock> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    const reason = errnoOf(error) === 'ENOENT' ? 'no such file' : `cannot be opened: ${messageOf(error)}`;
    throw new TsbuilderError('TSB_NOT_FOUND', `${path}: ${reason}`, { cause: error });
  });
  if (isLockedByOthers(handle.fd) === true) {
    await handle.close();
    throw new TsbuilderError('TSB_LOCKED', `${path}: is in use`, {
      hint: 'Shut the virtual machine down, or end the program that uses it.',
    });
  }
  for (const range of [READS, NOBODY_WRITES]) lockShared(handle.fd, range);
  const before = await handle.stat({ bigint: true });
  return {
    fd: handle.fd,
    async assertUnchanged() {
      const now = await handle.stat({ bigint: true });
      if (now.size === before.size && now.mtimeNs === before.mtimeNs) return;
      throw new TsbuilderError('TSB_CONTENT_CHANGED', `${path}: was written to while it was copied`, {
        hint: 'Make sure that nothing uses the disk, then start again.',
      });
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}
