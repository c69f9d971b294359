import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VliReader, encodeVli } from '../../src/xz/vli.js';

const read = (...bytes: number[]): number => new VliReader(Uint8Array.from(bytes), 0).next();

describe('variable-length integers', () => {
  it('come back as they went, and only as many bytes as needed', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (numbers) => {
        const bytes = Uint8Array.from(numbers.flatMap(encodeVli));
        const reader = new VliReader(bytes, 0);
        expect(numbers.map(() => reader.next())).toEqual(numbers);
        expect(reader.position).toBe(bytes.length);
      }),
    );
  });

  it('take one byte up to 127, two up to 16383', () => {
    expect([0, 127, 128, 16383, 16384].map((value) => encodeVli(value).length)).toEqual([1, 1, 2, 2, 3]);
  });

  it('are refused when cut, needlessly long, too long or too large', () => {
    expect(() => read(0x80)).toThrow(/runs past the end/);
    expect(() => read(0x80, 0x00)).toThrow(/needless/);
    expect(() => read(...Array<number>(9).fill(0xff), 0x01)).toThrow(/more than 9 bytes/);
    expect(() => read(...Array<number>(8).fill(0xff), 0x7f)).toThrow(/above/);
  });

  it('end at the limit given, not at the end of the data', () => {
    expect(() => new VliReader(Uint8Array.of(0x80, 0x01), 0, 1).next()).toThrow(/runs past the end/);
  });

  it('are made of safe non-negative integers only', () => {
    for (const value of [-1, 1.5, 2 ** 53]) expect(() => encodeVli(value)).toThrow(RangeError);
  });
});
