import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ZeroRun, isZero, splitZeroRuns, zeroBytes } from '../../src/image/zero.js';

const KIB = 1024;

/** `spec` as bytes: `[length, value]` pairs. */
function bytes(...spec: [number, number][]): Buffer {
  return Buffer.concat(spec.map(([length, value]) => Buffer.alloc(length, value)));
}

const shape = (runs: Iterable<ZeroRun>): [number, number, boolean][] =>
  [...runs].map(({ offset, length, data }) => [offset, length, data !== undefined]);

describe('isZero', () => {
  it('sees every single byte', () => {
    for (const length of [1, 4095, 65536, 1024 * KIB + 1, 2500 * KIB]) {
      const data = Buffer.alloc(length);
      expect(isZero(data)).toBe(true);
      for (const at of [0, length >> 1, length - 1]) {
        data[at] = 1;
        expect(isZero(data)).toBe(false);
        expect(isZero(data, at + 1)).toBe(true);
        expect(isZero(data, 0, at)).toBe(true);
        data[at] = 0;
      }
    }
  });

  it('takes nothing as zero', () => {
    expect(isZero(Buffer.alloc(0))).toBe(true);
  });
});

describe('zeroBytes', () => {
  it('gives that many zeros', () => {
    expect(Buffer.alloc(1024 * KIB).equals(zeroBytes(1024 * KIB))).toBe(true);
    expect(zeroBytes(3)).toHaveLength(3);
  });
});

describe('splitZeroRuns', () => {
  it('gives nothing for nothing', () => {
    expect(shape(splitZeroRuns(Buffer.alloc(0), 5))).toEqual([]);
  });

  it('gives one run for all data and for all zeros', () => {
    expect(shape(splitZeroRuns(bytes([200 * KIB, 1]), 4096))).toEqual([[4096, 200 * KIB, true]]);
    expect(shape(splitZeroRuns(Buffer.alloc(200 * KIB), 4096))).toEqual([[4096, 200 * KIB, false]]);
  });

  it('leaves zero runs that fill no aligned piece in the data', () => {
    const data = bytes([32 * KIB, 1], [63 * KIB, 0], [97 * KIB, 1]);
    expect(shape(splitZeroRuns(data, 0))).toEqual([[0, 192 * KIB, true]]);
  });

  it('trims the data beside a zero piece by whole 4 KiB blocks', () => {
    const data = bytes(
      [59 * KIB, 1],
      [64 * KIB, 0],
      [5 * KIB, 0],
      [64 * KIB, 0],
      [9 * KIB, 0],
      [55 * KIB, 2],
    );
    expect(shape(splitZeroRuns(data, 0))).toEqual([
      [0, 60 * KIB, true],
      [60 * KIB, 140 * KIB, false],
      [200 * KIB, 56 * KIB, true],
    ]);
  });

  it('trims zero blocks at the ends of what it is given', () => {
    const data = bytes([8 * KIB, 0], [4 * KIB, 1], [8 * KIB, 0]);
    expect(shape(splitZeroRuns(data, 64 * KIB))).toEqual([
      [64 * KIB, 8 * KIB, false],
      [72 * KIB, 4 * KIB, true],
      [76 * KIB, 8 * KIB, false],
    ]);
  });

  it('covers any data exactly, in order, and calls only zeros zero', () => {
    const piece = fc.tuple(fc.integer({ min: 1, max: 20_000 }), fc.constantFrom(0, 0, 1));
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.nat(100_000),
        fc.constantFrom(512, 4096, 65536),
        (spec, offset, size) => {
          const data = bytes(...spec);
          let at = offset;
          let previous: boolean | undefined;
          for (const run of splitZeroRuns(data, offset, size)) {
            expect(run.offset).toBe(at);
            expect(run.length).toBeGreaterThan(0);
            expect(run.data !== undefined).not.toBe(previous);
            const original = data.subarray(at - offset, at - offset + run.length);
            expect(original.equals(run.data ?? Buffer.alloc(run.length))).toBe(true);
            at += run.length;
            previous = run.data !== undefined;
          }
          expect(at).toBe(offset + data.length);
        },
      ),
    );
  });
});
