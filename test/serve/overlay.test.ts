import { execFileSync } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { type DiskSource, type WritableDisk, isWritable, opaqueDisk } from '../../src/io/disk-source.js';
import * as libc from '../../src/io/libc.js';
import { openOverlay } from '../../src/serve/overlay.js';
import { sliceWritable } from '../../src/serve/slice-writable.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

vi.mock('../../src/io/libc.js', { spy: true });

const KIB = 1024;
const CLUSTER = 64 * KIB;
const SIZE = 5 * CLUSTER + 1000;

/** A disk of noise, whose third cluster is zero and known to be. */
function baseDisk(): { disk: DiskSource; bytes: Buffer } {
  const bytes = Buffer.from(Array.from({ length: SIZE }, (_, index) => (index * 31 + (index >> 8)) % 256));
  bytes.fill(0, 2 * CLUSTER, 3 * CLUSTER);
  const opaque = opaqueDisk(bytesSource('base', bytes));
  const zero = { offset: 2 * CLUSTER, end: 3 * CLUSTER };
  const disk: DiskSource = {
    ...opaque,
    extents(offset, length) {
      const inside = offset >= zero.offset && offset < zero.end;
      const stop = inside ? zero.end : offset < zero.offset ? zero.offset : SIZE;
      const kind = inside ? 'zero' : 'data';
      return Promise.resolve([{ offset, length: Math.min(length, stop - offset), kind }]);
    },
  };
  return { disk, bytes };
}

async function kinds(disk: DiskSource): Promise<string[]> {
  const found: string[] = [];
  for (let at = 0; at < disk.size;) {
    for (const { offset, length, kind } of await disk.extents(at, disk.size - at)) {
      expect(offset).toBe(at);
      found.push(`${offset}+${length} ${kind}`);
      at += length;
    }
  }
  return found;
}

describe('openOverlay', () => {
  it('shows the disk below until something is written', async () => {
    const { disk, bytes } = baseDisk();
    await using overlay = await openOverlay(disk);
    expect(isWritable(overlay)).toBe(true);
    expect(Buffer.from(await overlay.read(0, SIZE)).equals(bytes)).toBe(true);
    expect(await kinds(overlay)).toEqual([
      `0+${2 * CLUSTER} data`,
      `${2 * CLUSTER}+${CLUSTER} zero`,
      `${3 * CLUSTER}+${SIZE - 3 * CLUSTER} data`,
    ]);
  });

  it('keeps writes to itself, tells holes, and leaves no name behind', async () => {
    await using folder = await scratchFolder();
    const { disk, bytes } = baseDisk();
    const before = Buffer.from(bytes);
    await using overlay = await openOverlay(disk, { dir: folder.path });
    expect(await readdir(folder.path)).toEqual([]);
    await overlay.write(SIZE - 10, Buffer.alloc(10, 1));
    await overlay.zero(0, CLUSTER, { punch: true });
    await overlay.write(2 * CLUSTER + 5, Buffer.from('hello'));
    await overlay.flush();
    expect(Buffer.from(await overlay.read(2 * CLUSTER + 4, 7)).toString()).toBe('\0hello\0');
    expect(Buffer.from(await overlay.read(SIZE - 11, 11))).toEqual(
      Buffer.concat([before.subarray(SIZE - 11, SIZE - 10), Buffer.alloc(10, 1)]),
    );
    expect(await kinds(overlay)).toEqual([`0+${CLUSTER} hole`, `${CLUSTER}+${SIZE - CLUSTER} data`]);
    expect(Buffer.from(await disk.read(0, SIZE)).equals(before)).toBe(true);
  });

  it('refuses ranges outside the disk', async () => {
    await using overlay = await openOverlay(baseDisk().disk);
    await expect(overlay.write(SIZE - 1, Buffer.alloc(2))).rejects.toThrow(RangeError);
    await expect(overlay.zero(-1, 1)).rejects.toThrow(RangeError);
    expect(() => overlay.read(SIZE, 1)).toThrow(RangeError);
  });

  it('says where it could not be made', async () => {
    await expect(openOverlay(baseDisk().disk, { dir: '/nowhere/at/all' })).rejects.toMatchObject({
      code: 'TSB_IO',
    });
  });

  it('survives a full filesystem', async () => {
    await using folder = await scratchFolder();
    const dir = join(folder.path, 'full');
    await mkdir(dir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', dir]);
    try {
      const { disk, bytes } = baseDisk();
      await using overlay = await openOverlay(disk, { dir });
      await overlay.write(10, Buffer.alloc(100, 7));
      const failure = overlay.write(CLUSTER + 1, Buffer.alloc(4 * CLUSTER, 9));
      await expect(failure).rejects.toMatchObject({
        code: 'TSB_NO_SPACE',
        cause: { code: 'ENOSPC' },
      });
      bytes.fill(7, 10, 110);
      expect(Buffer.from(await overlay.read(0, CLUSTER + 1)).equals(bytes.subarray(0, CLUSTER + 1))).toBe(
        true,
      );
      // Space given back can be used again, and what a failed write left in the file is never seen.
      await overlay.zero(0, 5 * CLUSTER, { punch: true });
      await overlay.write(4 * CLUSTER + 1, Buffer.alloc(1, 5));
      expect(Buffer.from(await overlay.read(4 * CLUSTER, 3))).toEqual(Buffer.from([0, 5, 0]));
    } finally {
      execFileSync('umount', ['-l', dir]);
    }
  });

  it('is like a buffer, whatever runs at once', async () => {
    const step = fc.record({
      kind: fc.constantFrom('write', 'zero', 'punch'),
      start: fc.nat(SIZE - 1),
      length: fc.oneof(fc.nat(300), fc.nat(3 * CLUSTER)),
      fill: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 5 }),
        fc.boolean(),
        async (rounds, holes) => {
          vi.mocked(libc.punchHole).mockReset();
          if (!holes) vi.mocked(libc.punchHole).mockResolvedValue(false);
          const { disk, bytes } = baseDisk();
          const model = Buffer.from(bytes);
          await using overlay = await openOverlay(disk);
          for (const round of rounds) {
            // Ranges of one round are disjoint by bytes, not by clusters.
            const starts = round.map(({ start }) => start).sort((a, b) => a - b);
            await Promise.all(
              round.map(({ kind, start, length, fill }) => {
                const limit = starts.find((other) => other > start) ?? SIZE;
                const twins = starts.filter((other) => other === start).length > 1;
                const count = twins ? 0 : Math.min(length, limit - start);
                model.fill(kind === 'write' ? fill : 0, start, start + count);
                return kind === 'write'
                  ? overlay.write(start, Buffer.alloc(count, fill))
                  : overlay.zero(start, count, { punch: kind === 'punch' });
              }),
            );
            expect(Buffer.from(await overlay.read(0, SIZE)).equals(model)).toBe(true);
            await expectTrueExtents(overlay, model);
          }
        },
      ),
      { numRuns: 60 },
    );
    vi.mocked(libc.punchHole).mockReset();
  });

  it('loses no byte of overlapping writes', async () => {
    const { disk } = baseDisk();
    await using overlay = await openOverlay(disk);
    await Promise.all([
      overlay.write(100, Buffer.alloc(10, 1)),
      overlay.write(0, Buffer.alloc(2 * CLUSTER, 2)),
      overlay.write(105, Buffer.alloc(10, 3)),
    ]);
    const content = Buffer.from(await overlay.read(0, 2 * CLUSTER));
    const expected = Buffer.alloc(2 * CLUSTER, 2).fill(3, 105, 115);
    expect(content.equals(expected)).toBe(true);
  });
});

async function expectTrueExtents(disk: WritableDisk, model: Buffer): Promise<void> {
  for (let at = 0; at < SIZE;) {
    for (const { offset, length, kind } of await disk.extents(at, SIZE - at)) {
      expect(offset).toBe(at);
      if (kind !== 'data')
        expect(model.subarray(offset, offset + length).every((byte) => byte === 0)).toBe(true);
      at += length;
    }
  }
}

describe('sliceWritable', () => {
  it('writes through to the disk, and never beside its window', async () => {
    await using overlay = await openOverlay(baseDisk().disk);
    const slice = sliceWritable(overlay, 1000, 500);
    await slice.write(0, Buffer.from('first'));
    await slice.zero(495, 5);
    await slice.flush();
    expect(Buffer.from(await overlay.read(1000, 5)).toString()).toBe('first');
    expect([...(await overlay.read(1495, 5))]).toEqual([0, 0, 0, 0, 0]);
    await expect(slice.write(498, Buffer.alloc(3))).rejects.toThrow(RangeError);
    await expect(slice.zero(500, 1)).rejects.toThrow(RangeError);
  });
});
