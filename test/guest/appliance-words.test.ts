import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { guestfishLine, guestfishLists, isListable } from '../../src/guest/appliance-words.js';

const bytes = fc.uint8Array({ maxLength: 300, min: 1 }).map((array) => Buffer.from(array).toString('latin1'));
const nasty = fc
  .array(
    fc.constantFrom(
      '"',
      "'",
      '\\',
      '\n',
      ' ',
      '\t',
      '|',
      '!',
      '~',
      '#',
      '-',
      '<<',
      '$(id)',
      '`',
      ';',
      '*',
      'win:',
      'é',
    ),
  )
  .map((parts) => parts.join(''));

/** What guestfish itself makes of the lines; `echo` needs no appliance. */
function guestfish(input: string): Buffer {
  const result = spawnSync('guestfish', [], { input: Buffer.from(input, 'latin1') });
  expect(result.stderr.toString()).toBe('');
  expect(result.status).toBe(0);
  return result.stdout;
}

describe('a line for guestfish', () => {
  it('brings every argument there as it is, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(bytes, nasty), { minLength: 1, maxLength: 6 }), (words) => {
        const input = guestfishLine('echo', words) + guestfishLine('echo', ['end']);
        expect(guestfish(input).toString('latin1')).toBe(`${words.join(' ')}\nend\n`);
      }),
      { numRuns: 150 },
    );
  });

  it('may be as long as guestfish takes it, and no longer', () => {
    const word = ' '.repeat(1990);
    expect(guestfish(guestfishLine('echo', [word])).toString()).toBe(`${word}\n`);
    expect(() => guestfishLine('echo', [' '.repeat(2000)])).toThrow(/8007 bytes of arguments/);
  });

  it('has no NUL byte', () => {
    expect(() => guestfishLine('echo', ['a\0b'])).toThrow(/NUL/);
  });
});

describe('lists for guestfish', () => {
  it('are cut so that each fits into a line', () => {
    const names = Array.from({ length: 2000 }, (_, index) => `name-${index}`);
    const lists = guestfishLists(names);
    expect(lists.flat()).toEqual(names);
    expect(lists.length).toBeGreaterThan(2);
    for (const list of lists) expect(guestfishLine('lstatnslist', ['/', list.join(' ')])).toMatch(/\n$/);
    const long = Array.from({ length: 60 }, () => 'x'.repeat(255));
    for (const list of guestfishLists(long))
      expect(guestfishLine('x', [list.join(' ')]).length).toBeLessThan(8000);
  });

  it('take only names without a meaning of their own', () => {
    for (const name of ['a b', "a'b", 'a\\', 'a\n', '', 'é', 'a"b']) expect(isListable(name)).toBe(false);
    for (const name of ['a', '..data', 'lib@1.so+2', '-x']) expect(isListable(name)).toBe(true);
  });
});
