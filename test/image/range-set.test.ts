import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRangeSet } from '../../src/image/range-set.js';
import { createWrittenMap } from '../../src/image/written-map.js';

const SIZE = 200;
const ranges = fc.array(fc.tuple(fc.nat(SIZE - 1), fc.nat(40)), { maxLength: 30 });

describe('RangeSet', () => {
  it('is all gap at first and none when full', () => {
    const set = createRangeSet();
    expect([...set.gaps(10)]).toEqual([{ offset: 0, length: 10 }]);
    set.add(5, 5);
    set.add(0, 5);
    expect([...set.gaps(10)]).toEqual([]);
    expect([...set.gaps(12)]).toEqual([{ offset: 10, length: 2 }]);
  });

  it('has the gaps that a bitmap has', () => {
    fc.assert(
      fc.property(ranges, (added) => {
        const set = createRangeSet();
        const model = new Array<boolean>(SIZE).fill(false);
        for (const [offset, length] of added) {
          set.add(offset, length);
          model.fill(true, offset, offset + length);
        }
        const seen = new Array<boolean>(SIZE).fill(true);
        let end = -1;
        for (const { offset, length } of set.gaps(SIZE)) {
          expect(offset).toBeGreaterThan(end);
          end = offset + length;
          seen.fill(false, offset, end);
        }
        expect(seen).toEqual(model.slice(0, SIZE));
      }),
    );
  });
});

describe('WrittenMap', () => {
  it('never denies what was marked', () => {
    const size = 5_000_000;
    fc.assert(
      fc.property(
        fc.nat(size - 1),
        fc.integer({ min: 1, max: 300_000 }),
        fc.nat(299_999),
        (offset, wanted, inner) => {
          const map = createWrittenMap(size);
          const length = Math.min(wanted, size - offset);
          map.mark(offset, length);
          expect(map.mayHold(offset + (inner % length), 1)).toBe(true);
          expect(map.mayHold(0, size)).toBe(true);
        },
      ),
    );
  });

  it('knows what was not, and stays small', () => {
    const map = createWrittenMap(2 ** 50);
    map.mark(2 ** 49, 1);
    expect(map.mayHold(0, 2 ** 49)).toBe(false);
    expect(map.mayHold(2 ** 49 + 2 ** 31, 2 ** 40)).toBe(false);
    expect(map.mayHold(2 ** 49, 0)).toBe(false);
  });
});
