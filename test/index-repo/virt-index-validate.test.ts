import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { parseIndex } from '../../src/index-repo/index-file.js';
import { exec } from '../../src/io/exec.js';
import { forEachParallel } from '../../src/io/parallel.js';
import { SOURCE } from '../helpers/entries.js';
import { indexTexts } from '../helpers/index-texts.js';

const RUNS = 400;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'validate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Whether virt-index-validate finds the grammar right. */
async function theyAccept(text: string, id: number): Promise<boolean> {
  const path = join(folder, `index-${id}`);
  writeFileSync(path, text);
  const { status } = await exec('virt-index-validate', [path], { okStatus: [0, 1] });
  return status === 0;
}

function ourVerdict(text: string): string {
  try {
    parseIndex(text, { url: '/index', source: SOURCE });
    return 'accepted';
  } catch (error) {
    if (error instanceof TsbuilderError) return error.code;
    throw error;
  }
}

const hash = '0'.repeat(128);
const goodField = fc.constantFrom(
  'name=Debian',
  'osinfo=debian12',
  `checksum[sha512]=${hash}`,
  'revision=7',
  'format=raw',
  'expand=/dev/sda1',
  'notes=One',
  'notes[fr]=Deux\n lignes',
  'notes[de]=Zwei\n \n  Zeilen\n\tmehr',
  'aliases=a b',
  'hidden=true',
  'x.y_z[a,b.c]=future',
  '# comment',
);
const oddValue = fc.constantFrom(
  'revision=a/b',
  'hidden=yes',
  'compressed_size=-1',
  'checksum=12',
  'expand=--help',
  'sig=../x',
  'size=5\nsize=6',
  'notes=a\0b',
);
const oddLine = fc.constantFrom('junk', 'key =x', 'no[]=x', '[a/b]', 'no-key=x', '[]', '=x', '[a]b', 'é=x');
const blankLine = fc.constantFrom('', ' ', '\t');
const required = fc.constantFrom(
  ...Array<string>(6).fill('arch=x86_64\nfile=a.xz\nsize=1'),
  'arch=x86_64\nsize=1',
  'arch=a b\nfile=a.xz\nsize=1',
  'arch=x86_64\nfile=/etc/passwd\nsize=1',
  'arch=x86_64\nfile=%2e%2e/a\nsize=1',
  'arch=x86_64\nfile=a.xz\nsize=0x10',
);
const line = fc.oneof(
  { weight: 24, arbitrary: goodField },
  { weight: 1, arbitrary: oddValue },
  { weight: 1, arbitrary: oddLine },
  { weight: 1, arbitrary: blankLine },
);
const section = fc
  .tuple(
    fc.constantFrom('a', 'b', 'debian-12', 'x.y_z', '.'),
    required,
    fc.uniqueArray(line, { maxLength: 4 }),
  )
  .map(([name, fields, more]) => [`[${name}]`, fields, ...more].join('\n'));
const index = indexTexts(section);

/** What virt-builder 1.48 is needlessly strict about: docs/index-format.md explains each. */
const NEEDLESS: Record<string, (text: string) => boolean> = {
  'no newline at the end': (text) => text !== '' && !text.endsWith('\n'),
  CRLF: (text) => text.includes('\r'),
  'no blank line between sections': (text) => /[^\n\r]\r?\n\[/.test(text),
  'a blank line inside a section': (text) =>
    /=[^\n]*\n(?:[ \t][^\n]*\n|#[^\n]*\n)*[ \t\r]*\n(?!\[|\n|$)/.test(text),
  'a line of blanks where no value is open': (text) => /(?:^|\n\r?\n|\]\r?\n)[ \t]+\r?(?:\n|$)/.test(text),
};

/** The same index without anything of {@link NEEDLESS}. */
function normalise(text: string): string {
  const lines = text.split(/\r?\n/).filter((one) => one.trim() !== '');
  return lines.map((one, i) => `${i > 0 && one.startsWith('[') ? '\n' : ''}${one}\n`).join('');
}

describe('virt-index-validate', () => {
  it('differs from us only where docs/index-format.md says so', async () => {
    const texts = fc.sample(index, { numRuns: RUNS, seed: 20_260_601 });
    const agreed = { accepted: 0, refused: 0 };
    const stricter = new Map<string, number>();
    const laxer = new Map<string, number>();
    const count = (map: Map<string, number>, key: string): unknown => map.set(key, (map.get(key) ?? 0) + 1);
    const unexplained: unknown[] = [];
    const judge = async ([id, text]: readonly [number, string]): Promise<void> => {
      const ours = ourVerdict(text);
      const theirs = await theyAccept(text, id);
      if ((ours === 'accepted') === theirs) agreed[theirs ? 'accepted' : 'refused'] += 1;
      else if (theirs) count(laxer, text.includes('\0') && ours === 'TSB_INDEX_SYNTAX' ? 'NUL' : ours);
      else {
        const classes = Object.keys(NEEDLESS).filter((name) => NEEDLESS[name]?.(text));
        for (const name of classes) count(stricter, name);
        if (classes.length === 0 || !(await theyAccept(normalise(text), id))) unexplained.push(text);
      }
    };
    await forEachParallel(texts.entries(), judge, { jobs: 4 });
    expect(unexplained).toEqual([]);
    expect([...stricter.keys()].sort()).toEqual(Object.keys(NEEDLESS).sort());
    expect([...laxer.keys()].sort()).toEqual(['NUL', 'TSB_INDEX_INVALID']);
    expect(agreed.accepted).toBeGreaterThan(30);
    expect(agreed.refused).toBeGreaterThan(30);
  });

  const MINIMAL = '[a]\narch=x86_64\nfile=a.xz\nsize=1\n';
  it.each([
    ['no newline at the end', MINIMAL.trimEnd()],
    ['CRLF', MINIMAL.replaceAll('\n', '\r\n')],
    ['no blank line between sections', `${MINIMAL}${MINIMAL.replace('[a]', '[b]')}`],
    ['a blank line inside a section', MINIMAL.replace('size', '\nsize')],
    ['a line of blanks where no value is open', ` \n${MINIMAL}`],
  ])('refuses %s; we do not', async (name, text) => {
    expect(Object.keys(NEEDLESS).filter((one) => NEEDLESS[one]?.(text))).toContain(name);
    expect([ourVerdict(text), await theyAccept(text, -1)]).toEqual(['accepted', false]);
    expect([ourVerdict(normalise(text)), await theyAccept(normalise(text), -2)]).toEqual(['accepted', true]);
  });

  it.each([
    ['NUL', `${MINIMAL}notes=a\0b\n`, 'TSB_INDEX_SYNTAX'],
    ['a negative size', MINIMAL.replace('=1', '=-5'), 'TSB_INDEX_INVALID'],
    ['a path that leads out', MINIMAL.replace('a.xz', '../a.xz'), 'TSB_INDEX_INVALID'],
    ['one template twice', `${MINIMAL}\n${MINIMAL}`, 'TSB_INDEX_INVALID'],
    ['a missing field', MINIMAL.replace('size=1\n', ''), 'TSB_INDEX_INVALID'],
  ])('accepts %s; we do not', async (_, text, code) => {
    expect([ourVerdict(text), await theyAccept(text, -3)]).toEqual([code, true]);
  });
});
