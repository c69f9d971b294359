import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPieces } from '../../src/nbd/read-pieces.js';
import { memoryDisk } from '../helpers/nbd-disk.js';

const SIZE = 512 * 1024;
const { signal } = new AbortController();
const place = fc.nat(SIZE);

describe('readPieces', () => {
  it('covers every range without gaps, and calls a hole only what is zero', async () => {
    const ranges = fc.array(fc.tuple(place, place), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(ranges, fc.tuple(place, place), async (holes, [one, two]) => {
        const content = Buffer.alloc(SIZE, 1);
        for (const [from, to] of holes) content.fill(0, Math.min(from, to), Math.max(from, to));
        const [start, end] = [Math.min(one, two), Math.max(one, two) + 1];
        const range = { offset: start, length: Math.min(end, SIZE) - start };
        fc.pre(range.length > 0);
        let at = start;
        for (const piece of await readPieces(memoryDisk(content, 512), range, signal)) {
          expect(piece.offset).toBe(at);
          expect(piece.length).toBeGreaterThan(0);
          at += piece.length;
          if (piece.hole) expect(content.subarray(piece.offset, at).every((byte) => byte === 0)).toBe(true);
        }
        expect(at).toBe(start + range.length);
      }),
      { numRuns: 40 },
    );
  });
});
