import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { parseIndex } from '../../src/index-repo/index-file.js';
import { exec } from '../../src/io/exec.js';
import { forEachParallel } from '../../src/io/parallel.js';
import { findIndexProblems } from '../../src/publish/index-problems.js';
import { validateIndex } from '../../src/publish/validate-index.js';
import { virtBuilderWarnings } from '../../src/publish/virt-builder-index.js';
import { SOURCE } from '../helpers/entries.js';
import { type Gnupg, type GnupgKey, newGnupg } from '../helpers/gnupg.js';
import { indexTexts } from '../helpers/index-texts.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let gnupg: Gnupg;
let key: GnupgKey;
beforeAll(async () => {
  folder = await scratchFolder();
  gnupg = await newGnupg();
  key = gnupg.makeKey('publisher');
});
afterAll(async () => {
  await gnupg[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const GOOD = '[a]\narch=x86_64\nfile=a.xz\nsize=1\n';
const HASH = `checksum[sha512]=${'0'.repeat(128)}\n`;
const context = { url: '/index', source: SOURCE };

function file(text: string, name = 'index'): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

/** `LINE:COLUMN CODE` of each problem. */
async function problems(text: string): Promise<string[]> {
  const { problems: found } = await validateIndex(file(text), { keys: [] });
  return found.map(
    ({ line, column, severity, message }) => `${line}:${column} ${severity}: ${message.slice(0, 45)}`,
  );
}

describe('everything that is wrong with an index', () => {
  it('is told with line and column, and nothing twice', async () => {
    const text = [
      'stray=1', // 1
      '[a]',
      'arch=x86 64', // 3
      ' and more',
      'file=../a.xz', // 5
      'size=0x10',
      'junk', // 7
      'hidden=yes',
      '',
      '[b/c]', // 10
      'arch=x86_64',
      'file=b.xz',
      'size=1',
      '',
      '[d]', // 15
      'notes=one',
      'notes=two', // 17
      ' more',
      '',
      `[e]\narch=x86_64\nfile=e.xz\nsize=1\n${HASH}`, // 20
      `[e]\narch=x86_64\nfile=f.xz\nsize=1\n${HASH}`, // 26
    ].join('\n');
    const found = await problems(text);
    expect(found.map((one) => one.split(' ')[0])).toEqual([
      ...['1:1', '3:6', '5:6', '6:6', '7:5', '8:8', '10:3', '15:1', '15:1', '15:1', '17:1', '26:1'],
    ]);
    expect(found.every((one) => one.includes(' error: '))).toBe(true);
  });

  it('is nothing with a good one', async () => {
    expect(await problems(`${GOOD}${HASH}`)).toEqual([]);
    expect(await problems('')).toEqual([]);
    expect(await problems(GOOD)).toEqual(['1:1 warning: [a] has neither a checksum nor sig=: nobody v']);
  });

  it('is told for a bad name, and the line of a signed text is that in the file', async () => {
    expect(await problems(`${GOOD.replace('[a]', '[.a]')}${HASH}`)).toEqual([
      '1:1 error: [.a] is not usable as a name: it must not beg',
    ]);
    const signed = gnupg.gpg(['--clearsign'], `${GOOD.replace('size=1', 'size=-1')}${HASH}`);
    const found = await validateIndex(file(signed), { keys: [] });
    expect(found.problems).toMatchObject([{ line: 7, column: 6, code: 'TSB_INDEX_INVALID' }]);
  });

  it('is told at the first bytes that are not UTF-8, and for a byte order mark once', async () => {
    const latin = Buffer.from(`${GOOD}name=f\xfcr\n`, 'latin1');
    const path = join(folder.path, 'latin');
    writeFileSync(path, latin);
    expect((await validateIndex(path, { keys: [] })).problems).toEqual([
      {
        ...{ severity: 'error', code: 'TSB_INDEX_SYNTAX', line: 5, column: 7 },
        message: 'is not UTF-8 text',
      },
    ]);
    const { problems } = await validateIndex(file(`\uFEFF${GOOD}${HASH}`), { keys: [] });
    expect(problems).toMatchObject([{ line: 1, column: 1, message: 'a byte order mark' }]);
  });

  it('is told of the lines of a signed index as they are in the file', async () => {
    const signed = gnupg.gpg(['--clearsign', '--local-user', key.fingerprint], `${GOOD}${HASH}`);
    const warned = async (text: string): Promise<string[]> =>
      (await validateIndex(file(text), { keys: [key.public] })).problems.map(
        ({ line, severity, message }) => `${line} ${severity} ${message}`,
      );
    expect(await warned(signed)).toEqual([]);
    expect(await warned(signed.replaceAll('\n', '\r\n'))).toEqual([
      '4 warning virt-builder 1.48 refuses lines that end in CRLF',
    ]);
    expect(await warned(signed.replace('\n[a]', '\n- [a]'))).toEqual([
      '4 warning virt-builder 1.48 refuses a line escaped with a dash',
    ]);
  });

  it('does not take long, however much it is', () => {
    const text = `${GOOD}${'x=1\n'.repeat(900)}`.repeat(20);
    expect(findIndexProblems(text, context).problems).toHaveLength(1000);
    const endless = findIndexProblems('[\n'.repeat(25_000), context).problems;
    expect(endless).toHaveLength(1000);
  });
});

describe('a signature', () => {
  const text = `${GOOD}${HASH}`;

  it('is named, and verified with a key only', async () => {
    const path = file(gnupg.gpg(['--clearsign'], text), 'index.asc');
    const by = { signed: true, signedBy: key.fingerprint, templates: 1, problems: [] };
    expect(await validateIndex(path, { keys: [] })).toMatchObject({ ...by, verified: false });
    expect(await validateIndex(path, { keys: [key.public] })).toMatchObject({ ...by, verified: true });
    expect(await validateIndex(file(text), { keys: [] })).toMatchObject({ signed: false, problems: [] });
  });

  it('that is not there or does not hold is an error', async () => {
    const codes = async (content: string): Promise<unknown> =>
      (await validateIndex(file(content), { keys: [key.public] })).problems.map(({ code }) => code);
    const signed = gnupg.gpg(['--clearsign'], text);
    expect(await codes(text)).toEqual(['TSB_INDEX_UNSIGNED']);
    expect(await codes(signed.replace('a.xz', 'b.xz'))).toEqual(['TSB_SIGNATURE_BAD']);
    expect(await codes(`${signed}\n[evil]\n`)).toEqual(['TSB_SIGNATURE_BAD']);
    expect(await codes(signed.slice(0, -60))).toEqual(['TSB_SIGNATURE_BAD']);
    const other = gnupg.makeKey('other');
    const foreign = gnupg.gpg(['--local-user', other.fingerprint, '--clearsign'], text);
    expect(await codes(foreign)).toEqual(['TSB_SIGNATURE_WRONG_KEY']);
  });

  it('is tolerated by virt-index-validate where we tell of nothing', async () => {
    const path = file(gnupg.gpg(['--clearsign'], text), 'index.asc');
    expect((await exec('virt-index-validate', [path])).stdout).toContain('validated OK');
    expect(readFileSync(path, 'utf8')).toContain('BEGIN PGP SIGNED');
  });
});

const line = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom(
      'name=x',
      'revision=7',
      'notes=a\n b',
      'x.y_z[a,b.c]=1',
      '# note',
      'hidden=true',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('', ' ', '\t', ' more') },
  { weight: 1, arbitrary: fc.constantFrom('junk', 'key =x', 'no[]=x', '[]', '=x', '[a]b', 'é=x', 'a\0=1') },
  { weight: 1, arbitrary: fc.constantFrom('hidden=no', 'size=1', 'sig=/x', 'arch=y', 'notes=b\n\n c') },
);
const section = fc
  .tuple(
    fc.constantFrom('a', 'b', 'c', '.'),
    fc.uniqueArray(line, { maxLength: 4 }),
    fc.integer({ max: 4, min: 0 }),
  )
  .map(([name, lines, lacks]) =>
    [`[${name}]`, ...['arch=x', 'file=f', 'size=1'].filter((_, at) => at !== lacks - 2), ...lines].join('\n'),
  );
const anyIndex = indexTexts(section);

describe('any text', () => {
  it('has problems exactly when the reader refuses it, and the first of them is among those', () => {
    const refusals = { count: 0 };
    fc.assert(
      fc.property(anyIndex, (text) => {
        const { problems: found } = findIndexProblems(text, context);
        let refused: TsbuilderError | undefined;
        try {
          parseIndex(text, context);
        } catch (error) {
          if (!(error instanceof TsbuilderError)) throw error;
          refused = error;
        }
        if (!refused) {
          expect(found).toEqual([]);
          return;
        }
        refusals.count += 1;
        const { line: at, column } = refused.details;
        expect(found).toContainEqual(expect.objectContaining({ line: at, column, code: refused.code }));
        const places = found.map((one) => `${one.line}:${one.column} ${one.message}`);
        expect(new Set(places).size).toBe(places.length);
      }),
      { numRuns: 500 },
    );
    expect(refusals.count).toBeGreaterThan(100);
  });

  it('has warnings of virt-builder exactly where virt-index-validate refuses what we read', async () => {
    const texts = fc.sample(anyIndex, { numRuns: 400, seed: 20_261_123 });
    const wrong: unknown[] = [];
    const counts = { fine: 0, warned: 0 };
    await forEachParallel(
      texts.entries(),
      async ([id, text]) => {
        if (findIndexProblems(text, context).problems.length > 0) return;
        const path = file(text, `generated-${id}`);
        const { status } = await exec('virt-index-validate', [path], { okStatus: [0, 1] });
        const warned = virtBuilderWarnings(text).length > 0;
        counts[warned ? 'warned' : 'fine'] += 1;
        if ((status === 1) !== warned) wrong.push({ text, status, warned });
      },
      { jobs: 2 },
    );
    expect(wrong).toEqual([]);
    expect(counts.fine).toBeGreaterThan(20);
    expect(counts.warned).toBeGreaterThan(20);
  });
});
