import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { type DiskExtent, type DiskSource, opaqueDisk } from '../../src/io/disk-source.js';
import { streamOfDisk } from '../../src/serve/disk-stream.js';

const MIB = 1024 * 1024;
const SIZE = 40 * MIB + 777;
const { signal } = new AbortController();

/** A disk with data in `places` of 1 MiB, that tells at most `limit` extents at a time. */
function diskWith(
  places: readonly number[],
  limit: number,
): { disk: DiskSource; bytes: Buffer; read: number[] } {
  const bytes = Buffer.alloc(SIZE);
  for (const place of places) bytes.fill(place + 1, place * MIB, Math.min(SIZE, (place + 1) * MIB));
  const read: number[] = [];
  const base = opaqueDisk(bytesSource('disk', bytes));
  const disk: DiskSource = {
    ...base,
    read(offset, length, inner) {
      read.push(Math.floor(offset / MIB), Math.floor((offset + length - 1) / MIB));
      return base.read(offset, length, inner);
    },
    extents(offset, length) {
      const list: DiskExtent[] = [];
      for (let at = offset; at < offset + length && list.length < limit;) {
        const stop = Math.min((Math.floor(at / MIB) + 1) * MIB, offset + length);
        const kind = places.includes(Math.floor(at / MIB)) ? 'data' : 'hole';
        list.push({ offset: at, length: stop - at, kind });
        at = stop;
      }
      return Promise.resolve(list);
    },
  };
  return { disk, bytes, read };
}

describe('streamOfDisk', () => {
  it('delivers every byte once, and reads nothing that is known to be zero', async () => {
    const places = fc.uniqueArray(fc.nat(40), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(
        places,
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 4 }),
        async (wanted, limit, jobs) => {
          const { disk, bytes, read } = diskWith(wanted, limit);
          const content = await streamOfDisk(disk, 'xz', signal);
          const out = Buffer.alloc(SIZE, 255);
          let delivered = 0;
          let progress = 0;
          const sink = {
            data: (offset: number, data: Uint8Array) => {
              out.set(data, offset);
              delivered += data.length;
              return Promise.resolve();
            },
            zero: (offset: number, length: number) => {
              out.fill(0, offset, offset + length);
              delivered += length;
              return Promise.resolve();
            },
          };
          await content.stream(sink, { jobs, signal, onProgress: (count) => (progress += count) });
          expect(delivered).toBe(SIZE);
          expect(out.equals(bytes)).toBe(true);
          expect(read.every((place) => wanted.includes(place))).toBe(true);
          expect(progress).toBe(content.streamedBytes);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('stops at the first error, when all jobs have ended', async () => {
    const { disk } = diskWith([1, 20], 9);
    const content = await streamOfDisk(disk, 'raw', signal);
    const sink = { data: () => Promise.reject(new Error('full')), zero: () => Promise.resolve() };
    await expect(content.stream(sink, { jobs: 2, signal })).rejects.toThrow('full');
  });
});
