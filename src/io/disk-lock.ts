import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { TsbuilderError, errnoOf } from '../errors.js';
import { openError } from './file-source.js';
import { type LockRange, isLockedByOthers, lockShared } from './libc.js';

/** QEMU's way of sharing an image (block/file-posix.c): a lock on byte 100 + N says "I do N", on byte 200 + N "nobody else may do N". */
const READS = { offset: 100, length: 1 };
const WRITES = { offset: 101, length: 1 };
const NOBODY_WRITES = { offset: 201, length: 1 };

/** What is done to a disk: it is read only, another file takes its place, or it is written to. */
export type DiskUse = 'read' | 'replace' | 'write';

/** What is locked for each use. */
const LOCKS: Readonly<Record<DiskUse, readonly LockRange[]>> = {
  read: [READS, NOBODY_WRITES],
  replace: [READS, NOBODY_WRITES],
  write: [READS, WRITES, NOBODY_WRITES],
};

/** Any byte. */
const ALL = { offset: 0, length: 0 };

/** Where locks of others are in the way of each use. Who only reads does not mind others who do, and who want nobody to write. */
const IN_THE_WAY: Readonly<Record<DiskUse, readonly LockRange[]>> = {
  read: [
    { offset: 0, length: READS.offset },
    { offset: WRITES.offset, length: NOBODY_WRITES.offset - WRITES.offset },
  ],
  replace: [ALL],
  write: [ALL],
};

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
 * Makes sure that no running machine uses the disk image or block device `path`, and keeps QEMU from starting one on it meanwhile. A device is
 * kept from the kernel too (mounting it, adding it to a RAID). Where locks cannot be asked for, only changes are noticed.
 *
 * @param use with `read`, others may read too, such as machines whose disks have this image behind them
 * @throws TSB_NOT_FOUND when it is not there, TSB_IO when it cannot be opened, TSB_LOCKED when it is in use
 */
export async function lockDisk(path: string, use: DiskUse = 'replace'): Promise<DiskLock> {
  const handle = await openToLock(path);
  if (!takeLocks(handle.fd, use)) {
    await handle.close();
    throw inUse(path);
  }
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

/** Returns false where others are in the way. They are looked for again afterwards, because they may have looked at the same moment. */
function takeLocks(fd: number, use: DiskUse): boolean {
  const isTaken = (): boolean => IN_THE_WAY[use].some((range) => isLockedByOthers(fd, range) === true);
  if (isTaken()) return false;
  for (const range of LOCKS[use]) lockShared(fd, range);
  return !isTaken();
}

async function openToLock(path: string): Promise<FileHandle> {
  const isDevice = (await stat(path).catch(() => undefined))?.isBlockDevice() ?? false;
  // On a block device O_EXCL without O_CREAT means: fail when the kernel itself uses it, and keep it from that. O_NONBLOCK: a pipe does not wait.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (isDevice ? constants.O_EXCL : 0);
  const handle = await open(path, flags).catch((error: unknown) => {
    if (errnoOf(error) === 'EBUSY') throw inUse(path, error);
    throw openError(path, error);
  });
  const found = await handle.stat();
  if (found.isFile() || found.isBlockDevice()) return handle;
  await handle.close();
  throw new TsbuilderError('TSB_USAGE', `${path}: is neither a file nor a block device`);
}

function inUse(path: string, cause?: unknown): TsbuilderError {
  return new TsbuilderError('TSB_LOCKED', `${path}: is in use`, {
    hint: 'Shut the virtual machine down, or end the program that uses it.',
    cause,
  });
}
