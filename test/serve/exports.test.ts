import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { parseExport, planExports } from '../../src/serve/exports.js';

function faultOf(plain: readonly string[], named: readonly string[]): string {
  try {
    planExports(plain, named);
    return 'none';
  } catch (error) {
    return error instanceof TsbuilderError ? `${error.code}: ${error.message}` : 'other';
  }
}

describe('planExports', () => {
  it('serves one image as the export without a name', () => {
    expect(planExports(['a/disk.img'], [])).toEqual({
      exports: [{ name: '', src: 'a/disk.img' }],
      defaultExport: '',
    });
  });

  it('names several after the last part of their path or URL; the first is the default', () => {
    const srcs = ['a/disk.img', 'https://example.com/x/b%20c.img.xz?q=/1#f', 'debian-12', '/e/'];
    const { exports, defaultExport } = planExports(srcs, []);
    expect(exports).toEqual(
      ['disk.img', 'b c.img.xz', 'debian-12', 'e'].map((name, index) => ({ name, src: srcs[index] })),
    );
    expect(defaultExport).toBe('disk.img');
  });

  it('takes names that are given, beside plain ones', () => {
    expect(planExports([], ['b=x', 'a=y=z'])).toEqual({
      exports: [
        { name: 'b', src: 'x' },
        { name: 'a', src: 'y=z' },
      ],
      defaultExport: 'b',
    });
    expect(planExports(['p'], ['a=y']).exports).toEqual([
      { name: '', src: 'p' },
      { name: 'a', src: 'y' },
    ]);
  });

  it.each([
    [[], [], 'TSB_USAGE: what is to be served?'],
    [['x/a', 'y/a'], [], 'TSB_USAGE: x/a and y/a would both be the export "a"'],
    [['a', 'b'], ['a=c'], 'TSB_USAGE: a and c would both be the export "a"'],
    [[], ['a'], 'TSB_USAGE: --export "a" is not NAME=SRC'],
    [[], ['a='], 'TSB_USAGE: --export "a=" is not NAME=SRC'],
    [
      [],
      [`${'é'.repeat(2049)}=x`],
      'TSB_USAGE: the name of an export has 4098 bytes; the protocol allows 4096, and no zero byte',
    ],
  ])('refuses %j %j', (plain, named, message) => {
    expect(faultOf(plain, named)).toBe(message);
  });

  it('has a default that is there, and names that differ', () => {
    const src = fc.oneof(fc.string({ minLength: 1 }), fc.webUrl());
    fc.assert(
      fc.property(fc.array(src, { maxLength: 4 }), fc.array(fc.tuple(fc.string(), src)), (plain, named) => {
        const texts = named.map(([name, value]) => `${name}=${value}`);
        if (faultOf(plain, texts) !== 'none') {
          expect(faultOf(plain, texts)).toMatch(/^TSB_USAGE/);
          return;
        }
        const { exports, defaultExport } = planExports(plain, texts);
        const names = exports.map(({ name }) => name);
        expect(new Set(names).size).toBe(plain.length + named.length);
        expect(names).toContain(defaultExport);
      }),
    );
  });
});

describe('parseExport', () => {
  it('splits at the first equals sign', () => {
    expect(parseExport('=x')).toEqual({ name: '', src: 'x' });
    expect(parseExport('n=https://h/?a=b')).toEqual({ name: 'n', src: 'https://h/?a=b' });
  });
});
