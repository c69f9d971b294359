import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import type { FileOperationKind } from '../../../src/customize/operation-kind.js';
import { FILE_OPERATIONS } from '../../helpers/file-operations.js';

const GOOD = {
  'append-line': [
    ['/f:a:b', { path: '/f', line: 'a:b' }],
    ['/f:', { path: '/f', line: '' }],
  ],
  chmod: [
    ['0755:/f:g', { permissions: '0755', path: '/f:g' }],
    ['493:/f', { permissions: '493', path: '/f' }],
  ],
  chown: [['1:2:/f:g', { uid: 1, gid: 2, path: '/f:g' }]],
  copy: [['/a:/b:c', { source: '/a', destination: '/b:c' }]],
  'copy-in': [['a:/b', { local: 'a', folder: '/b' }]],
  delete: [['/a*:b', '/a*:b']],
  edit: [['/f:s/a:b/c/', { path: '/f', expression: 's/a:b/c/' }]],
  link: [['../t:/a:/b', { target: '../t', links: ['/a', '/b'] }]],
  mkdir: [['/a:b', '/a:b']],
  move: [['/a:/b', { source: '/a', destination: '/b' }]],
  scrub: [['/a', '/a']],
  'tar-in': [['t.tar:/d', { archive: 't.tar', folder: '/d' }]],
  touch: [['/a', '/a']],
  truncate: [['/a', '/a']],
  'truncate-recursive': [['/a', '/a']],
  upload: [['f:/d', { file: 'f', destination: '/d' }]],
  write: [
    ['/f:a:b\n', { path: '/f', content: 'a:b\n' }],
    ['/f:', { path: '/f', content: '' }],
  ],
} as const;

const BAD = {
  'append-line': ['/f', 'f:x', ''],
  chmod: ['0644', '0888:/f', 'u+x:/f', '-1:/f', '8:f', '010000:/f', '0o:/f', '1_0:/f', ':/f', '09:/f'],
  chown: ['1:/f', 'root:root:/f', '-1:0:/f', '4294967295:0:/f', '1.5:0:/f', '::/f', '1:2:f'],
  copy: ['/a', 'a:/b', '/a:b'],
  'copy-in': [':/b', 'a:b', 'a'],
  delete: ['a', '', '/a\0'],
  edit: ['/f', 'f:x'],
  link: ['/t', ':/a', '/t:a', '/t:/a:', '/t\0:/a'],
  mkdir: ['', 'a', '/a\0b'],
  move: ['/a', '/a:'],
  scrub: ['a'],
  'tar-in': ['t.tar', ':/d'],
  touch: ['x'],
  truncate: ['x'],
  'truncate-recursive': ['x'],
  upload: ['f', ':/d', 'f:d'],
  write: ['/f', 'f:x', ''],
} as const;

const KINDS = Object.values(FILE_OPERATIONS) as unknown as FileOperationKind<unknown>[];
const good = (name: string): readonly (readonly [string, unknown])[] => GOOD[name as keyof typeof GOOD];
const bad = (name: string): readonly string[] => BAD[name as keyof typeof BAD];

describe.each(KINDS.map((kind) => ({ name: kind.name, kind })))(
  'the arguments of $name',
  ({ name, kind }) => {
    it.each(good(name).map(([text, value]) => ({ text, value })))(
      '$text is read, also in YAML as text and as the value itself',
      ({ text, value }) => {
        expect(kind.parse(text)).toEqual(value);
        expect(v.parse(kind.schema, text)).toEqual(value);
        expect(v.parse(kind.schema, JSON.parse(JSON.stringify(value)))).toEqual(value);
      },
    );

    it.each(bad(name))('%j is refused', (text) => {
      expect(() => kind.parse(text)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
    });

    it('are told in one line', () => {
      for (const [text] of good(name)) expect(kind.describe(kind.parse(text))).toMatch(/^[a-z].{3,}$/);
    });
  },
);

describe('YAML', () => {
  it.each([
    ['chmod', { permissions: 644, path: '/f' }],
    ['write', { path: '/f' }],
    ['write', { path: '/f', content: 'x', mode: '0644' }],
    ['link', { target: 'x', links: [] }],
    ['mkdir', ['/a']],
    ['chown', { uid: 'root', gid: 0, path: '/f' }],
  ] as const)('is checked for %s: %j', (name, value) => {
    expect(v.safeParse(FILE_OPERATIONS[name].schema, value).success).toBe(false);
  });

  it('takes numbers of owners', () => {
    expect(v.parse(FILE_OPERATIONS.chown.schema, { uid: 7, gid: 8, path: '/f' })).toEqual({
      uid: 7,
      gid: 8,
      path: '/f',
    });
  });
});
