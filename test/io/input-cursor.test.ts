import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import { InputCursor } from '../../src/io/input-cursor.js';
import { text } from '../helpers/xz.js';

const MiB = 1024 * 1024;
const data = text(10 * MiB);

/** Counts the reads that have begun and those that are under way. */
function watched(): ByteSource & { readonly reads: [number, number][]; underWay: () => number } {
  const inner = bytesSource('test', data);
  const reads: [number, number][] = [];
  let running = 0;
  return {
    ...inner,
    reads,
    underWay: () => running,
    async read(offset, length, signal) {
      reads.push([offset, length]);
      running += 1;
      try {
        await new Promise((resolve) => setImmediate(resolve));
        return await inner.read(offset, length, signal);
      } finally {
        running -= 1;
      }
    },
  };
}

describe('InputCursor', () => {
  it('gives the bytes of its range in order, by pieces of 4 MiB', async () => {
    const source = watched();
    let used = 0;
    const range = { from: 5, to: data.length - 3, onUsed: (bytes: number) => (used += bytes) };
    await using cursor = new InputCursor(source, range);
    const parts: Buffer[] = [];
    for (let bytes = await cursor.rest(); bytes.length > 0; bytes = await cursor.rest()) {
      const step = Math.min(bytes.length, 1_000_000);
      parts.push(Buffer.from(bytes.subarray(0, step)));
      cursor.advance(step);
      expect(cursor.position).toBe(5 + parts.reduce((sum, { length }) => sum + length, 0));
    }
    expect(Buffer.concat(parts).equals(data.subarray(5, -3))).toBe(true);
    expect(used).toBe(data.length - 8);
    expect(source.reads).toEqual([
      [5, 4 * MiB],
      [5 + 4 * MiB, 4 * MiB],
      [5 + 8 * MiB, 2 * MiB - 8],
    ]);
  });

  it('takes and skips across pieces', async () => {
    await using cursor = new InputCursor(watched(), { from: 0, to: data.length });
    expect(await cursor.skip(4 * MiB - 2)).toBe(true);
    expect(data.subarray(4 * MiB - 2, 4 * MiB + 2).equals(await cursor.take(4))).toBe(true);
    expect(await cursor.skip(6 * MiB - 4)).toBe(true);
    expect((await cursor.take(5)).length).toBe(2);
    expect([await cursor.skip(1), cursor.position]).toEqual([false, data.length]);
  });

  it('reads at most two pieces ahead, and nothing any more when disposed', async () => {
    const source = watched();
    {
      await using cursor = new InputCursor(source, { from: 0, to: data.length });
      await cursor.take(1);
      expect(source.reads.length).toBeLessThanOrEqual(3);
    }
    expect(source.underWay()).toBe(0);
  });

  it('passes on what the source throws, in its place', async () => {
    const inner = bytesSource('test', data);
    const source: ByteSource = {
      ...inner,
      read: (offset, length) =>
        offset === 0 ? inner.read(offset, length) : Promise.reject(new Error('no more')),
    };
    await using cursor = new InputCursor(source, { from: 0, to: data.length });
    expect((await cursor.take(100)).length).toBe(100);
    await expect(cursor.skip(5 * MiB)).rejects.toThrow('no more');
  });
});
