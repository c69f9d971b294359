import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { shellWord, shellWriteFile } from '../../../src/customize/in-guest/shell-word.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

const SHELLS = [['dash'], ['bash'], ['bash', '--posix']];

function sh(shell: readonly string[], script: string, env: Record<string, string> = {}): string {
  const [file = 'sh', ...args] = shell;
  const result = spawnSync(file, args, { input: script, env: { PATH: '/usr/bin:/bin', ...env } });
  expect([result.status, result.stderr.toString()]).toEqual([0, '']);
  return result.stdout.toString();
}

describe.each(SHELLS)('%s', (...shell) => {
  it('takes a word as it is', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((each) => !each.includes('\0'));
    fc.assert(
      fc.property(text, (word) => {
        expect(sh(shell, `printf '%s.' ${shellWord(word)}\n`)).toBe(`${word}.`);
      }),
      { numRuns: 40 },
    );
  });

  it('makes a file of exactly the bytes', async () => {
    await using folder = await scratchFolder();
    const file = join(folder.path, 'file');
    const check = (bytes: Buffer): void => {
      sh(shell, shellWriteFile('f', bytes), { f: file });
      expect(readFileSync(file).equals(bytes)).toBe(true);
    };
    check(Buffer.from(Array.from({ length: 256 * 40 }, (_, index) => (index * 7) & 0xff)));
    check(Buffer.from('-n %s %% \\n \\\\ \'quoted\' "x" $HOME `id` 1\\0012\n\n'));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (array) => check(Buffer.from(array))),
      { numRuns: 15 },
    );
  });
});
