import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cryptPassword } from '../../src/io/crypt.js';
import { shaCrypt } from '../../src/io/sha-crypt.js';

const METHODS = ['yescrypt', 'sha512', 'sha256', 'md5'] as const;
const SHAPES = {
  yescrypt: /^\$y\$j9T\$[./0-9A-Za-z]{21}[./01]\$[./0-9A-Za-z]{43}$/,
  sha512: /^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$/,
  sha256: /^\$5\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{43}$/,
  md5: /^\$1\$[./0-9A-Za-z]{8}\$[./0-9A-Za-z]{22}$/,
};
const SALT = Buffer.from(Array.from({ length: 22 }, (_, at) => at * 11));

/** Python's crypt module, asked whether each password has its hash. */
function pythonSays(pairs: readonly (readonly [string, string])[]): unknown {
  const script =
    'import crypt, json, sys; print(json.dumps([crypt.crypt(p, h) == h for p, h in json.load(sys.stdin)]))';
  const input = JSON.stringify(pairs);
  return JSON.parse(
    execFileSync('python3', ['-W', 'ignore', '-c', script], { input, encoding: 'utf8' }),
  ) as unknown;
}

const password = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .filter((text) => !/[\0\n]/.test(text) && Buffer.byteLength(text) < 300);
const salt = fc.uint8Array({ minLength: 22, maxLength: 22 });

describe('cryptPassword', () => {
  it.each(METHODS)('makes %s hashes that log in', async (method) => {
    const words = ['Hello world!', 'pässwörd', 'x'.repeat(200)];
    const hashes = await Promise.all(words.map((word) => cryptPassword(Buffer.from(word), method, SALT)));
    for (const hash of hashes) expect(hash).toMatch(SHAPES[method]);
    expect(pythonSays(hashes.map((hash, at) => [words[at]!, hash] as const))).toEqual([true, true, true]);
    expect(pythonSays([['hello world!', hashes[0]!]])).toEqual([false]);
  });

  it.each([
    ['sha512', '-6'],
    ['sha256', '-5'],
    ['md5', '-1'],
  ] as const)('agrees with openssl passwd about %s', async (method, option) => {
    const hash = await cryptPassword(Buffer.from('Hello world!'), method, SALT);
    const salt = hash.split('$')[2]!;
    const theirs = execFileSync('openssl', ['passwd', option, '-salt', salt, '-stdin'], {
      input: 'Hello world!\n',
      encoding: 'utf8',
    });
    expect(hash).toBe(theirs.trim());
  });

  it('refuses what libcrypt would cut or not take', async () => {
    for (const word of [Buffer.alloc(512, 'a'), Buffer.from('a\0b')])
      await expect(cryptPassword(word, 'sha512', SALT)).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await expect(cryptPassword(Buffer.alloc(511, 'a'), 'yescrypt', SALT)).resolves.toMatch(SHAPES.yescrypt);
  });
});

describe('shaCrypt', () => {
  it('gives the hashes that its specification lists', () => {
    expect(shaCrypt(Buffer.from('Hello world!'), 'saltstring', 'sha512')).toBe(
      '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
    );
    expect(shaCrypt(Buffer.from('Hello world!'), 'saltstring', 'sha256')).toBe(
      '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5',
    );
  });

  it.each(['sha512', 'sha256'] as const)('is what libcrypt computes: %s', async (method) => {
    await fc.assert(
      fc.asyncProperty(password, salt, async (text, bytes) => {
        const theirs = await cryptPassword(Buffer.from(text), method, bytes);
        expect(shaCrypt(Buffer.from(text), theirs.split('$')[2]!, method)).toBe(theirs);
      }),
      { numRuns: 30 },
    );
  });
});
