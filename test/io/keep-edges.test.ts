import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import { newCounters } from '../../src/io/counters.js';
import { countingSource } from '../../src/io/counting-source.js';
import { openFileSource } from '../../src/io/file-source.js';
import { keepEdges } from '../../src/io/keep-edges.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const DATA = randomBytes(3_000_000);

/** A source whose reads are written down, and fail while `broken`. */
function recorded(data: Uint8Array): ByteSource & { reads: [number, number][]; broken: Error | undefined } {
  const inner = bytesSource('test', data);
  const source = {
    ...inner,
    reads: [] as [number, number][],
    broken: undefined as Error | undefined,
    async read(offset: number, length: number, signal?: AbortSignal) {
      source.reads.push([offset, length]);
      await new Promise((resolve) => setImmediate(resolve));
      if (source.broken) throw source.broken;
      return inner.read(offset, length, signal);
    },
  };
  return source;
}

describe('keepEdges', () => {
  it('gives the same bytes, whatever is read', async () => {
    const range = fc.tuple(fc.nat(60_000), fc.nat(600), fc.boolean());
    await fc.assert(
      fc.asyncProperty(fc.nat(60_000), fc.array(range, { maxLength: 5 }), async (size, ranges) => {
        const data = DATA.subarray(0, size);
        await using source = keepEdges(bytesSource('test', data), data.subarray(0, 512));
        await Promise.all(
          ranges.map(async ([at, count, fromEnd]) => {
            const offset = fromEnd ? Math.max(0, size - (at % 1000)) : at % (size + 1);
            const length = Math.min(count, size - offset);
            expect(data.subarray(offset, offset + length).equals(await source.read(offset, length))).toBe(
              true,
            );
          }),
        );
      }),
    );
  });

  it('reads the tail once, also for many at once, and the head never', async () => {
    const inner = recorded(DATA);
    await using source = keepEdges(inner, DATA.subarray(0, 512));
    await Promise.all([100, 16_000, 12].map((length) => source.read(DATA.length - length, length)));
    await source.read(0, 512);
    await source.read(DATA.length - 1, 1);
    expect(inner.reads).toEqual([[DATA.length - 16_384, 16_384]]);
  });

  it('keeps no more than its share of a small file', async () => {
    const inner = recorded(DATA.subarray(0, 128_000));
    await using source = keepEdges(inner, DATA.subarray(0, 512));
    await source.read(127_999, 1);
    await source.read(126_000, 2000);
    expect(inner.reads).toEqual([
      [127_000, 1000],
      [126_000, 2000],
    ]);
  });

  it('forgets a tail that could not be read, and lets others not suffer for it', async () => {
    const inner = recorded(DATA);
    await using source = keepEdges(inner, DATA.subarray(0, 512));
    inner.broken = new Error('gone');
    const first = source.read(DATA.length - 10, 10);
    const second = source.read(DATA.length - 20, 10);
    await expect(first).rejects.toThrow('gone');
    inner.broken = undefined;
    expect(DATA.subarray(DATA.length - 20, DATA.length - 10).equals(await second)).toBe(true);
    expect(DATA.subarray(DATA.length - 10).equals(await source.read(DATA.length - 10, 10))).toBe(true);
  });

  it('hands out bytes that the caller may change, and refuses what is outside', async () => {
    const data = Buffer.from(DATA);
    await using source = keepEdges(bytesSource('test', data), data.subarray(0, 512));
    for (const offset of [0, DATA.length - 10]) {
      (await source.read(offset, 10)).fill(0);
      expect(DATA.subarray(offset, offset + 10).equals(await source.read(offset, 10))).toBe(true);
    }
    expect(() => source.read(DATA.length - 5, 6)).toThrow(RangeError);
  });
});

describe('countingSource', () => {
  it('counts what is read of a file', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'disk');
    await writeFile(path, DATA);
    const counters = newCounters();
    await using source = countingSource(await openFileSource(path), counters);
    expect([source.name, source.size]).toEqual([path, DATA.length]);
    expect(DATA.subarray(5, 10).equals(await source.read(5, 5))).toBe(true);
    await source.read(1000, 2000);
    await expect(source.read(DATA.length, 1)).rejects.toThrow(RangeError);
    expect(counters).toEqual({ ...newCounters(), bytesFetched: 2005 });
  });
});
