import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { segmentTable } from '../../src/io/segment-table.js';

describe('segmentTable', () => {
  it('finds every byte in the segment that holds it', () => {
    const property = fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 40 }), (sizes) => {
      const offsets = [0];
      for (const size of sizes) offsets.push(offsets.at(-1)! + size);
      const table = segmentTable(Float64Array.from(offsets));
      expect([table.segmentCount, table.size]).toEqual([sizes.length, offsets.at(-1)]);
      for (let offset = 0; offset < table.size; offset += 1) {
        const found = table.segment(table.find(offset));
        expect(found.size).toBe(sizes[found.number]);
        expect(offset - found.offset).toBeGreaterThanOrEqual(0);
        expect(offset - found.offset).toBeLessThan(found.size);
      }
    });
    fc.assert(property);
  });

  it('throws RangeError for what is not there', () => {
    const table = segmentTable(Float64Array.from([0, 10, 30]));
    for (const offset of [-1, 30, NaN]) expect(() => table.find(offset)).toThrow(RangeError);
    for (const number of [-1, 2, 0.5]) expect(() => table.segment(number)).toThrow(RangeError);
    expect(() => segmentTable(Float64Array.from([0])).find(0)).toThrow(RangeError);
  });
});
