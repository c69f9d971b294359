import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDuration, parseSize, resolveSize } from '../src/flags.js';

const UNITS = [
  ['K', 1024],
  ['M', 1024 ** 2],
  ['G', 1024 ** 3],
  ['T', 1024 ** 4],
  ['P', 1024 ** 5],
] as const;

describe('parseSize', () => {
  it.each([
    ['10G', 10 * 1024 ** 3],
    ['10GiB', 10 * 1024 ** 3],
    ['10 gib', 10 * 1024 ** 3],
    ['1.5T', 1.5 * 1024 ** 4],
    ['512m', 512 * 1024 ** 2],
    ['4096b', 4096],
    ['4096', 4096],
    [' 1k ', 1024],
    ['0.5k', 512],
    ['1.0001k', 1024],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('reads %j', (text, bytes) => {
    expect(parseSize(text)).toEqual({ kind: 'absolute', bytes });
  });

  it.each([
    ['+2G', 2 * 1024 ** 3],
    ['+512', 512],
  ])('reads the increment %j', (text, bytes) => {
    expect(parseSize(text)).toEqual({ kind: 'relative', bytes });
  });

  it.each([
    '',
    ' ',
    'G',
    '-1G',
    '+',
    '++1G',
    '1e9',
    '0x10',
    '1,5G',
    '1.G',
    '.5G',
    '10X',
    '10GiBs',
    '1 0',
    'NaN',
    '١G',
  ])('refuses %j', (text) => {
    expect(() => parseSize(text)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringContaining('is not a size') as string,
      }),
    );
  });

  it.each(['0', '0G', '+0', '0.4b', '8P', '9007199254740992', '9'.repeat(400)])(
    'refuses %j as out of range',
    (text) => {
      expect(() => parseSize(text)).toThrow(/is not between 1 byte and 8 PiB/);
    },
  );

  it.each(['10GB', '1kB', '+5MB'])('says that %j is ambiguous', (text) => {
    expect(() => parseSize(text)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('GB would be ambiguous') as string }),
    );
  });

  it('reads what is written of any size', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...UNITS),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom('', 'iB', 'ib', 'IB'),
        fc.constantFrom('', '+'),
        ([unit, factor], count, suffix, plus) => {
          const size = { kind: plus === '' ? 'absolute' : 'relative', bytes: count * factor };
          expect(parseSize(`${plus}${count}${unit}${suffix}`)).toEqual(size);
          expect(parseSize(`${plus}${count}${unit.toLowerCase()}${suffix}`)).toEqual(size);
        },
      ),
    );
  });

  it('reads plain bytes exactly', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat().filter((bytes) => bytes > 0),
        (bytes) => {
          expect(parseSize(String(bytes)).bytes).toBe(bytes);
        },
      ),
    );
  });

  it('gives a safe number of bytes or a usage error for any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^\+?\d{0,20}\.?\d{0,3} ?[bkmgtpBKMGTP]?(iB|ib)?$/)),
        (text) => {
          let bytes = 1;
          try {
            bytes = parseSize(text).bytes;
          } catch (error) {
            expect(error).toMatchObject({ code: 'TSB_USAGE' });
          }
          expect(Number.isSafeInteger(bytes) && bytes > 0).toBe(true);
        },
      ),
    );
  });
});

describe('resolveSize', () => {
  it('adds an increment to the size of the template', () => {
    expect(resolveSize(parseSize('+1k'), 4096)).toBe(5120);
    expect(resolveSize(parseSize('1k'), 4096)).toBe(1024);
  });
});

describe('parseDuration', () => {
  it.each([
    ['90s', 90_000],
    ['45m', 2_700_000],
    ['12h', 43_200_000],
    ['30d', 2_592_000_000],
    ['4W', 2_419_200_000],
    [' 1 s ', 1000],
    ['0d', 0],
  ])('reads %j', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', '10', 'd', '-1d', '1.5h', '1y', '1d2h', 'forever'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: `${JSON.stringify(text)} is not a duration` }),
    );
  });

  it('gives a safe number or a usage error for any text', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\d{1,30} ?[smhdw]$/), (text) => {
        let milliseconds = 0;
        try {
          milliseconds = parseDuration(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_USAGE' });
        }
        expect(Number.isSafeInteger(milliseconds)).toBe(true);
      }),
    );
  });
});
