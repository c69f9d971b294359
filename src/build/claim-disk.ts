import { TsbuilderError } from '../errors.js';
import { findUse } from '../image/block-device-use.js';
import { type DiskLock, lockDisk } from '../io/disk-lock.js';

/**
 * Makes sure that neither this system nor a virtual machine uses the disk `path`, a file or a block device, and keeps them from beginning to.
 *
 * @throws TSB_LOCKED saying what uses it, TSB_NOT_FOUND
 */
export async function claimDisk(path: string): Promise<DiskLock> {
  const use = await findUse(path);
  if (use === undefined) return lockDisk(path);
  throw new TsbuilderError('TSB_LOCKED', `${path}: ${use}`, {
    hint: 'Release it first: unmount it, or stop what is on it.',
  });
}
