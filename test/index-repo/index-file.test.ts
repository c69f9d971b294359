import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/errors.js';
import { parseIndex } from '../../src/index-repo/index-file.js';
import type { TemplateEntry } from '../../src/index-repo/template-entry.js';
import { SOURCE } from '../helpers/entries.js';

const URL = 'https://user:secret@example.org/repo/index.asc?token=1';
const parse = (text: string): TemplateEntry[] => parseIndex(text, { url: URL, source: SOURCE });
const MINIMAL = '[a]\narch=x86_64\nfile=a.xz\nsize=1048576\n';
const SHA512 = 'AB'.repeat(64);

const refusal = (code: ErrorCode, line: number, column: number): unknown =>
  expect.objectContaining({
    code,
    message: expect.stringContaining(`https://example.org/repo/index.asc?...:${line}:${column}: `) as string,
    details: { url: 'https://example.org/repo/index.asc?...', line, column },
  });
const thrown = (text: string): unknown => {
  try {
    return parse(text);
  } catch (error) {
    return error;
  }
};

describe('parseIndex', () => {
  it('reads every field', () => {
    const text = `# comment
[debian-12]
name=Debian 12 (bookworm)
osinfo=debian12
arch=x86_64
file=sub/debian-12.xz
sig=debian-12.xz.sig
checksum[sha512]=${SHA512}
checksum[sha256]=${'CD'.repeat(32)}
revision=20230101.10
format=qcow2
size=4294967296
compressed_size=128974848
expand=/dev/sda1
lvexpand=/dev/vg-0/root
notes=Debian 12.
 First line.
\tSecond, after a tab.
 
  Indented.
notes[de]=Auf Deutsch.
aliases=bookworm  debian
hidden=true
blocks=debian-12.blocks
blocks[sha512]=${SHA512}
future[field]=ignored
`;
    const [found] = parse(text);
    expect(found).toEqual({
      name: 'debian-12',
      fullName: 'Debian 12 (bookworm)',
      osinfo: 'debian12',
      arch: 'x86_64',
      url: 'https://user:secret@example.org/repo/sub/debian-12.xz',
      sigUrl: 'https://user:secret@example.org/repo/debian-12.xz.sig',
      sha512: SHA512.toLowerCase(),
      sha256: 'cd'.repeat(32),
      revision: '20230101.10',
      format: 'qcow2',
      size: 4_294_967_296,
      compressedSize: 128_974_848,
      expand: '/dev/sda1',
      lvexpand: '/dev/vg-0/root',
      notes: { '': 'Debian 12.\nFirst line.\nSecond, after a tab.\n\n Indented.', de: 'Auf Deutsch.' },
      hidden: true,
      aliases: ['bookworm', 'debian'],
      blocks: 'https://user:secret@example.org/repo/debian-12.blocks',
      blocksSha512: SHA512.toLowerCase(),
      source: SOURCE,
    });
  });

  it('has defaults for what may be left out', () => {
    expect(parse(MINIMAL)[0]).toMatchObject({ revision: '1', hidden: false, aliases: [], notes: {} });
    expect(parse(MINIMAL)[0]).toMatchObject({ sha512: undefined, format: undefined, expand: undefined });
  });

  it.each([
    ['nothing', '', 0],
    ['only comments and blank lines', '# x\n\n  \n#y', 0],
    ['sections without a blank line between', `${MINIMAL}${MINIMAL.replace('[a]', '[b]')}`, 2],
    ['no newline at the end', MINIMAL.trimEnd(), 1],
    ['CRLF', MINIMAL.replaceAll('\n', '\r\n'), 1],
    ['blank lines anywhere', `\n\n${MINIMAL.replaceAll('\n', '\n\n')}`, 1],
    ['blanks at line ends', MINIMAL.replaceAll('\n', ' \t\n'), 1],
    ['one name for two architectures', `${MINIMAL}${MINIMAL.replace('x86_64', 'aarch64')}`, 2],
    ['bare checksum', `${MINIMAL}checksum=${SHA512}`, 1],
    ['both checksums, equal', `${MINIMAL}checksum=${SHA512}\nchecksum[sha512]=${SHA512.toLowerCase()}`, 1],
    ['a partition by its short name', `${MINIMAL}expand=sda1`, 1],
  ])('accepts %s', (_, text, count) => {
    expect(parse(text)).toHaveLength(count);
  });

  it('gives the same value whether blanks at line ends were stripped by the signature or not', () => {
    const text = `${MINIMAL}notes=one\n \n two\n \n \nname=x\n`;
    const stripped = text.replace(/[ \t]+$/gm, '');
    expect(stripped).not.toBe(text);
    expect(parse(stripped)).toEqual(parse(text));
    expect(parse(text)[0]!.notes).toEqual({ '': 'one\n\ntwo' });
  });

  it.each([
    ['a field before a section', 'arch=x', 1, 1],
    ['a continuation of nothing', `[a]\n x`, 2, 1],
    ['an unclosed header', '[ab\n', 1, 4],
    ['text after a header', '[ab]c', 1, 5],
    ['a header with a slash', '[a/b]', 1, 3],
    ['an empty header', '[]', 1, 3],
    ['a header after a blank', `${MINIMAL} [b]\n[c d]`, 6, 3],
    ['no equals sign', '[a]\narch', 2, 5],
    ['a blank before the equals sign', '[a]\narch =x', 2, 5],
    ['an empty subkey', '[a]\nnotes[]=x', 2, 7],
    ['a bad subkey', '[a]\nnotes[d-e]=x', 2, 8],
    ['NUL', '[a]\nnotes=a\0b', 2, 8],
    ['a very long line', `[a]\nnotes=${'x'.repeat(70_000)}`, 2, 65_537],
    ['a gap of thousands of lines in a value', `[a]\nnotes=${'\n'.repeat(2000)} x`, 2002, 1],
    ['armour', '-----BEGIN PGP SIGNED MESSAGE-----', 1, 1],
  ])('refuses %s as a syntax error', (_, text, line, column) => {
    expect(thrown(text)).toEqual(refusal('TSB_INDEX_SYNTAX', line, column));
  });

  it.each([
    ['size=-5', 'size=1048576', 'size=-5', 4, 6],
    ['hexadecimal', 'size=1048576', 'size=0x1000', 4, 6],
    ['size zero', 'size=1048576', 'size=0', 4, 6],
    ['a fraction', 'size=1048576', 'size=1.5', 4, 6],
    ['a unit', 'size=1048576', 'size=10G', 4, 6],
    ['2^53', 'size=1048576', 'size=9007199254740992', 4, 6],
    ['no size', 'size=1048576', 'name=x', 1, 1],
    ['no arch', 'arch=x86_64', 'name=x', 1, 1],
    ['no file', 'file=a.xz', 'name=x', 1, 1],
    ['arch with a slash', 'arch=x86_64', 'arch=/../pwned', 2, 6],
    ['empty arch', 'arch=x86_64', 'arch=', 2, 6],
    ['name of a dot', '[a]', '[.]', 1, 1],
    ['name of two dots', '[a]', '[..]', 1, 1],
    ['name like an option', '[a]', '[-rf]', 1, 1],
    ['a name too long', '[a]', `[${'a'.repeat(129)}]`, 1, 1],
    ['hidden=yes', 'size=1048576', 'size=1\nhidden=yes', 5, 8],
    ['a bad revision', 'size=1048576', 'size=1\nrevision=1/2', 5, 10],
    ['a short checksum', 'size=1048576', 'size=1\nchecksum=abcd', 5, 10],
    ['no hex checksum', 'size=1048576', `size=1\nchecksum[sha512]=${'g'.repeat(128)}`, 5, 18],
    [
      'different checksums',
      'size=1048576',
      `size=1\nchecksum=${'0'.repeat(128)}\nchecksum[sha512]=${SHA512}`,
      5,
      10,
    ],
    ['a bad blocks checksum', 'size=1048576', 'size=1\nblocks[sha512]=00', 5, 16],
    ['an option as partition', 'size=1048576', 'size=1\nexpand=--help', 5, 8],
    ['two fields of one name', 'size=1048576', 'size=1\nsize=2', 5, 1],
    ['two fields of one name that is not known', 'size=1048576', 'x=1\nx=2', 5, 1],
    ['file leading out', 'file=a.xz', 'file=../a.xz', 3, 6],
    ['sig leading out', 'size=1048576', 'size=1\nsig=%2e%2e/a', 5, 5],
    ['blocks leading out', 'size=1048576', 'size=1\nblocks=http://x/a', 5, 8],
    ['empty file', 'file=a.xz', 'file=', 3, 6],
  ])('refuses %s, with the place', (_, from, ...[to, line, column]) => {
    const text = MINIMAL.replace(from, to);
    expect(text).not.toBe(MINIMAL);
    expect(thrown(text)).toEqual(refusal('TSB_INDEX_INVALID', line, column));
  });

  it('refuses the same name and architecture twice', () => {
    expect(thrown(`${MINIMAL}\n${MINIMAL}`)).toEqual(refusal('TSB_INDEX_INVALID', 6, 1));
  });

  it('counts lines from where the signed text begins', () => {
    const run = () => parseIndex('[a]\nx y', { url: '/r/index.asc', firstLine: 4, source: SOURCE });
    expect(run).toThrow('/r/index.asc:5:2: ');
  });

  it('does not print control characters of a bad value', () => {
    const error = thrown(MINIMAL.replace('size=1048576', 'size=\u001b[31m')) as Error;
    expect(error.message).toContain('\\x1b[31m');
    expect(error.message).not.toContain('\u001b');
  });

  it('bounds sections, fields and length', () => {
    expect(thrown('[a]\n'.repeat(20_001))).toEqual(refusal('TSB_INDEX_SYNTAX', 20_001, 1));
    const fields = Array.from({ length: 1001 }, (_, i) => `f${i}=1\n`).join('');
    expect(thrown(`[a]\n${fields}`)).toEqual(refusal('TSB_INDEX_SYNTAX', 1002, 1));
    expect(thrown('#'.repeat(8 * 1024 * 1024 + 1))).toEqual(refusal('TSB_INDEX_SYNTAX', 1, 1));
  });

  it('throws nothing but its own errors, whatever the text', () => {
    const piece = fc.constantFrom(
      '[a]',
      '[',
      ']',
      '=',
      ' ',
      '\n',
      '\r\n',
      '\t',
      '#',
      'size',
      'file',
      '1',
      '%',
      '..',
      '\0',
      'é',
      '-',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 40 }).map((list) => list.join('')),
        ),
        (text) => {
          const result = thrown(text);
          if (!Array.isArray(result))
            expect(result).toMatchObject({ exit: 4, details: { line: expect.any(Number) as number } });
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('does not confuse languages of notes with properties of objects', () => {
    const [found] = parse(`${MINIMAL}notes[__proto__]=x\nnotes[constructor]=y\n`);
    expect(Object.entries(found!.notes)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });
});
