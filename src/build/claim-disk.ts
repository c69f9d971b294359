import { TsbuilderError } from '../errors.js';
import { findUse } from '../image/block-device-use.js';
import { type DiskLock, type DiskUse, lockDisk } from '../io/disk-lock.js';

/**
 * Makes sure that neither this system nor a virtual machine uses the disk `path`, a file or a block device, and keeps them from beginning to. `use` as for `lockDisk`.
 *
 * @throws TSB_LOCKED saying what uses it, TSB_NOT_FOUND
 */
export async function claimDisk(path: string, use?: DiskUse): Promise<DiskLock> {
  const otherUse = await findUse(path);
  if (otherUse === undefined) return lockDisk(path, use);
  throw new TsbuilderError('TSB_LOCKED', `${path}: ${otherUse}`, {
    hint: 'Release it first: unmount it, or stop what is on it.',
  });
}
