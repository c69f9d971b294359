import { assertRange } from '../../src/io/byte-source.js';
import type { DiskExtent, DiskSource, WritableDisk } from '../../src/io/disk-source.js';

/** A disk in memory whose blocks of `grain` bytes are reported as holes where they are zero. */
export interface MemoryDisk extends WritableDisk {
  readonly content: Buffer;
  /** How often it was flushed. */
  readonly flushes: () => number;
  /** Names of the calls that were made, with their ranges. */
  readonly calls: string[];
}

/** A writable disk over `content`, which it changes. */
export function memoryDisk(content: Buffer, grain = 4096): MemoryDisk {
  let flushes = 0;
  const calls: string[] = [];
  const disk: MemoryDisk = {
    name: 'memory',
    size: content.length,
    content,
    flushes: () => flushes,
    calls,
    read(offset, length, signal) {
      signal?.throwIfAborted();
      assertRange(disk, offset, length);
      return Promise.resolve(content.subarray(offset, offset + length));
    },
    extents(offset, length) {
      assertRange(disk, offset, length);
      return Promise.resolve(extentsOf(content, { offset, length, grain }));
    },
    write(offset, data) {
      assertRange(disk, offset, data.length);
      content.set(data, offset);
      return Promise.resolve();
    },
    zero(offset, length, options) {
      assertRange(disk, offset, length);
      calls.push(`zero ${offset} ${length} ${options?.punch === true ? 'punch' : 'keep'}`);
      content.fill(0, offset, offset + length);
      return Promise.resolve();
    },
    flush() {
      flushes += 1;
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return disk;
}

/** The same disk without its ways to write. */
export function readOnly(disk: DiskSource): DiskSource {
  return {
    name: disk.name,
    size: disk.size,
    read: (offset, length, signal) => disk.read(offset, length, signal),
    extents: (offset, length, signal) => disk.extents(offset, length, signal),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

/** A disk of which the bytes `bad` cannot be read. */
export function damaged(disk: DiskSource, bad: { offset: number; length: number }): DiskSource {
  return {
    ...readOnly(disk),
    read(offset, length, signal) {
      const hit = offset < bad.offset + bad.length && offset + length > bad.offset;
      return hit
        ? Promise.reject(new Error(`block 7 at ${bad.offset} is damaged`))
        : disk.read(offset, length, signal);
    },
  };
}

/** `size` bytes in which every byte tells its place; the ranges in `holes` are zero. */
export function patterned(size: number, holes: readonly { offset: number; length: number }[] = []): Buffer {
  const content = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) content.writeUInt32LE((at * 2654435761 + 1) >>> 0, at);
  for (const { offset, length } of holes) content.fill(0, offset, offset + length);
  return content;
}

function extentsOf(
  content: Buffer,
  range: { offset: number; length: number; grain: number },
): readonly DiskExtent[] {
  const extents: DiskExtent[] = [];
  const end = range.offset + range.length;
  for (let at = range.offset; at < end;) {
    const next = Math.min(end, (Math.floor(at / range.grain) + 1) * range.grain);
    const kind = content.subarray(at, next).every((byte) => byte === 0) ? 'hole' : 'data';
    const last = extents.at(-1);
    if (last?.kind === kind) extents[extents.length - 1] = { ...last, length: next - last.offset };
    else extents.push({ offset: at, length: next - at, kind });
    at = next;
  }
  return extents;
}
