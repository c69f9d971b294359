import { type ExtVolume, corrupt } from './volume.js';

const USER = 0x02;
const GROUP = 0x08;

/**
 * An access control list as `getxattr(2)` gives it (version 2, eight bytes an entry) from the form that ext keeps on
 * the disk (version 1, an id only where there is one).
 *
 * @throws TSB_FILESYSTEM when it is damaged
 */
export function toXattrAcl(volume: ExtVolume, disk: Buffer): Buffer {
  if (disk.length < 4 || disk.readUInt32LE(0) !== 1) throw corrupt(volume, 'access control list');
  const entries: Buffer[] = [Buffer.from([2, 0, 0, 0])];
  for (let at = 4; at < disk.length;) {
    const tag = at + 4 <= disk.length ? disk.readUInt16LE(at) : 0;
    const size = tag === USER || tag === GROUP ? 8 : 4;
    if (tag === 0 || at + size > disk.length) throw corrupt(volume, 'access control list');
    const entry = Buffer.alloc(8, 0xff);
    disk.copy(entry, 0, at, at + size);
    entries.push(entry);
    at += size;
  }
  return Buffer.concat(entries);
}
