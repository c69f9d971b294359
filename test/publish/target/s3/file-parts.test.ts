import fc from 'fast-check';
import { expect, it } from 'vitest';
import { partsOf } from '../../../../src/publish/target/s3/file-parts.js';

const MIB = 1024 ** 2;

it('cuts a file into parts that the protocol allows', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 * 1024 ** 4 }), (size) => {
      const parts = partsOf(size);
      expect(parts.length).toBeLessThanOrEqual(10_000);
      expect(parts.slice(0, -1).every(({ length }) => length >= 5 * MIB)).toBe(true);
      let end = 0;
      for (const [at, { number, offset, length }] of parts.entries()) {
        if (number !== at + 1 || offset !== end || length < 1) throw new Error(`part ${at} is wrong`);
        end += length;
      }
      expect(end).toBe(size);
    }),
    { numRuns: 50 },
  );
});

it('keeps parts small where it can', () => {
  expect(partsOf(33 * MIB).map(({ length }) => length / MIB)).toEqual([16, 16, 1]);
});
