import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SeekPoints } from '../../src/gzip/seek-points.js';

const KiB = 1024;

describe('SeekPoints', () => {
  it('keeps windows, places and checksums', () => {
    const points = new SeekPoints(100);
    const windows = [Buffer.alloc(0), randomBytes(32 * KiB), Buffer.alloc(32 * KiB, 'text')];
    for (const [n, window] of windows.entries())
      points.add({ contentOffset: n * 100, crc: n + 7, offset: n * 10, bits: n, window });
    for (const [n, window] of windows.entries()) {
      const { contentOffset, crc, offset, bits } = points.place(n);
      expect([contentOffset, crc, offset, bits]).toEqual([n * 100, n + 7, n * 10, n]);
      expect(window.equals(points.window(n))).toBe(true);
    }
    expect([...points.offsets(250)]).toEqual([0, 100, 200, 250]);
    expect(() => points.place(3)).toThrow(RangeError);
  });

  it('drops every second point beyond its memory, and makes them rarer from then on', () => {
    const limit = 40 * 33 * KiB;
    const points = new SeekPoints(1000, limit);
    const wrong: number[] = [];
    let [offset, adds] = [0, 0];
    for (; adds < 300; adds += 1, offset += points.spacing) {
      points.add({ contentOffset: offset, crc: offset, offset, bits: 0, window: randomBytes(32 * KiB) });
      // Data in one place only: the stretch that holds it must never pass for zeros.
      if (offset <= 50_000) points.sawData();
    }
    expect(points.spacing).toBeGreaterThanOrEqual(8000);
    expect(points.count).toBeLessThanOrEqual(41);
    expect(points.count).toBeGreaterThan(15);
    const offsets = [...points.offsets(offset)];
    for (let number = 0; number < points.count; number += 1) {
      const { contentOffset, crc } = points.place(number);
      expect([contentOffset, crc]).toEqual([offsets[number], offsets[number]]);
      if (points.isZero(number) !== contentOffset > 50_000) wrong.push(contentOffset);
    }
    expect(wrong).toEqual([]);
    expect(offsets[0]).toBe(0);
  });
});
