import { type ByteSource, assertRange } from '../io/byte-source.js';
import type { DiskExtent, DiskSource } from '../io/disk-source.js';
import { seekData, seekHole } from '../io/libc.js';

/** Extents that one answer has at most. */
const MAX_EXTENTS = 1024;

/**
 * A raw disk in a local file, which knows its holes as the filesystem does. Where that cannot tell, and on a block device, all is
 * data. Disposing it disposes `source`.
 *
 * @param fd descriptor of the file that `source` reads
 */
export function rawDisk(source: ByteSource, fd: number): DiskSource {
  return {
    name: source.name,
    size: source.size,
    read: (offset, length, signal) => source.read(offset, length, signal),
    extents(offset, length) {
      assertRange(source, offset, length);
      return Promise.resolve(fileExtents(fd, offset, length));
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

function fileExtents(fd: number, offset: number, length: number): DiskExtent[] {
  const end = offset + length;
  const extents: DiskExtent[] = [];
  const add = (from: number, to: number, kind: DiskExtent['kind']): void => {
    if (to > from) extents.push({ offset: from, length: to - from, kind });
  };
  for (let at = offset; at < end && extents.length < MAX_EXTENTS;) {
    const data = Math.min(end, Math.max(at, seekData(fd, at) ?? at));
    const hole = seekHole(fd, data) ?? end;
    // A file that changes meanwhile could say that data ends where it begins: then the rest is data.
    const next = hole > data ? Math.min(end, hole) : end;
    add(at, data, 'hole');
    add(data, next, 'data');
    at = next;
  }
  return extents.length > 0 ? extents : [{ offset, length, kind: 'data' }];
}
