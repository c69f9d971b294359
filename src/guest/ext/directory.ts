import { readContent } from './content.js';
import { type ExtInode, INODE_FLAG } from './inode.js';
import { type ExtVolume, corrupt } from './volume.js';

/** Largest directory that is read, in bytes: about three million names. */
const MAX_DIRECTORY = 128 * 1024 * 1024;

/**
 * The names in a directory with their inode numbers, without `.` and `..`. A name is a string of bytes (each character
 * 0..255), because a guest's names need not be UTF-8. Hashed directories are read like plain ones: their index hides
 * in what looks like an unused entry (kernel documentation, "Hash Tree Directories").
 *
 * @throws TSB_FILESYSTEM when the directory is damaged or absurdly large
 */
export async function readDirectory(volume: ExtVolume, inode: ExtInode): Promise<Map<string, number>> {
  if (inode.size > MAX_DIRECTORY)
    throw corrupt(volume, `directory inode ${inode.ino} has ${inode.size} bytes`);
  const content = await readContent(volume, inode, { offset: 0, length: inode.size });
  const names = new Map<string, number>();
  for (const part of directoryParts(volume, inode, content)) parseEntries({ volume, inode, part }, names);
  return names;
}

/** The pieces within which entries are chained: blocks, or the two places of inline data (whose first 4 bytes are `..`). */
function directoryParts(volume: ExtVolume, inode: ExtInode, content: Buffer): Buffer[] {
  if (inode.flags & INODE_FLAG.inlineData) {
    return [content.subarray(4, inode.map.length), content.subarray(inode.map.length)];
  }
  const { blockSize } = volume.super;
  return Array.from({ length: Math.floor(content.length / blockSize) }, (_, index) =>
    content.subarray(index * blockSize, (index + 1) * blockSize),
  );
}

function parseEntries(
  from: { volume: ExtVolume; inode: ExtInode; part: Buffer },
  names: Map<string, number>,
): void {
  const { volume, inode, part } = from;
  for (let at = 0; at + 8 <= part.length;) {
    const ino = part.readUInt32LE(at);
    const length = recordLength(part.readUInt16LE(at + 4), part.length);
    const nameLength = part.readUInt8(at + 6);
    if (length < 8 || at + length > part.length || 8 + nameLength > length) {
      throw corrupt(volume, `directory inode ${inode.ino}`);
    }
    const name = part.toString('latin1', at + 8, at + 8 + nameLength);
    if (ino !== 0 && name !== '.' && name !== '..') {
      if (name === '' || /[/\0]/.test(name)) throw corrupt(volume, `name in directory inode ${inode.ino}`);
      names.set(name, ino);
    }
    at += length;
  }
}

/** A record that fills a whole block of 64 KiB has no room for its length: 0 or 65535 stand for it. */
function recordLength(stored: number, partLength: number): number {
  return partLength === 65536 && (stored === 65535 || stored === 0) ? 65536 : stored;
}
