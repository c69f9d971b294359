import { readContentOfAttribute } from './attribute-inode.js';
import { toXattrAcl } from './posix-acl.js';
import type { ExtInode } from './inode.js';
import { type ExtVolume, corrupt, readBlock } from './volume.js';

const MAGIC = 0xea020000;
const SYSTEM_DATA = 'system.data';

/** Name prefixes by index (kernel documentation, "Extended Attributes"). */
const PREFIXES: Readonly<Record<number, string>> = {
  1: 'user.',
  2: 'system.posix_acl_access',
  3: 'system.posix_acl_default',
  4: 'trusted.',
  6: 'security.',
  7: 'system.',
  8: 'system.richacl',
};

/**
 * The extended attributes of `inode` by name, in the form in which `getxattr(2)` gives them. Inline file data is no
 * attribute here.
 *
 * @throws TSB_FILESYSTEM when they are damaged
 */
export async function readXattrs(volume: ExtVolume, inode: ExtInode): Promise<Map<string, Buffer>> {
  const raw = await readRaw(volume, inode);
  raw.delete(SYSTEM_DATA);
  for (const [name, value] of raw) {
    if (name.startsWith('system.posix_acl_')) raw.set(name, toXattrAcl(volume, value));
  }
  return raw;
}

/** What does not fit into the inode's own map of a file with inline data. */
export async function inlineTail(volume: ExtVolume, inode: ExtInode): Promise<Buffer> {
  return (await readRaw(volume, inode)).get(SYSTEM_DATA) ?? Buffer.alloc(0);
}

async function readRaw(volume: ExtVolume, inode: ExtInode): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const inside = inode.attributes;
  if (inside.length >= 8 && inside.readUInt32LE(0) === MAGIC) {
    // Values are counted from the first entry, which follows the magic number.
    await readTable({ volume, inode, table: inside.subarray(4), firstEntry: 0 }, found);
  }
  if (inode.attributeBlock !== 0) {
    const table = await readBlock(volume, inode.attributeBlock);
    if (table.readUInt32LE(0) !== MAGIC) throw corrupt(volume, `attribute block of inode ${inode.ino}`);
    await readTable({ volume, inode, table, firstEntry: 32 }, found);
  }
  return found;
}

async function readTable(
  from: { volume: ExtVolume; inode: ExtInode; table: Buffer; firstEntry: number },
  found: Map<string, Buffer>,
): Promise<void> {
  const { volume, inode, table } = from;
  const damaged = (): Error => corrupt(volume, `attributes of inode ${inode.ino}`);
  let at = from.firstEntry;
  while (at + 4 <= table.length && table.readUInt32LE(at) !== 0) {
    if (at + 16 > table.length) throw damaged();
    const nameLength = table.readUInt8(at);
    const prefix = PREFIXES[table.readUInt8(at + 1)];
    const offset = table.readUInt16LE(at + 2);
    const valueInode = table.readUInt32LE(at + 4);
    const size = table.readUInt32LE(at + 8);
    if (at + 16 + nameLength > table.length || (valueInode === 0 && offset + size > table.length))
      throw damaged();
    const name = `${prefix ?? ''}${table.toString('utf8', at + 16, at + 16 + nameLength)}`;
    if (prefix !== undefined) {
      const value =
        valueInode === 0
          ? Buffer.from(table.subarray(offset, offset + size))
          : await readContentOfAttribute(volume, valueInode, size);
      found.set(name, value);
    }
    at += 16 + Math.ceil(nameLength / 4) * 4;
  }
}
