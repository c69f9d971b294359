import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as libc from '../../src/io/libc.js';
import { openOutputFile } from '../../src/io/output-file.js';
import { placeFile, replaceFile } from '../../src/io/place-file.js';
import { type TempFolder, tempFolder } from '../helpers/disk-tools.js';

vi.mock('../../src/io/libc.js', { spy: true });
vi.mock('node:fs/promises', { spy: true });

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
  writeFileSync(folder.file('.new.tsb'), 'new');
});
afterEach(() => {
  vi.mocked(libc.exchangeNames).mockReset();
  vi.mocked(libc.renameNoReplace).mockReset();
  vi.mocked(fs.link).mockReset();
  folder[Symbol.dispose]();
});

const content = (): Record<string, string> =>
  Object.fromEntries(readdirSync(folder.path).map((name) => [name, readFileSync(folder.file(name), 'utf8')]));
const failWith = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

/** The ways a file can get its name, from the best to that of a filesystem without links and a system without koffi. */
const ways = {
  'with renameat2': () => undefined,
  'without koffi': () => {
    vi.mocked(libc.exchangeNames).mockReturnValue(false);
    vi.mocked(libc.renameNoReplace).mockReturnValue(false);
  },
  'without koffi and links': () => {
    ways['without koffi']();
    vi.mocked(fs.link).mockImplementation(failWith('EPERM'));
  },
};

describe.each(Object.entries(ways))('%s', (_, prepare) => {
  beforeEach(prepare);

  it('places a file', async () => {
    await placeFile(folder.file('.new.tsb'), folder.file('disk'));
    expect(content()).toEqual({ disk: 'new' });
  });

  it('places no file over another', async () => {
    writeFileSync(folder.file('disk'), 'old');
    await expect(placeFile(folder.file('.new.tsb'), folder.file('disk'))).rejects.toMatchObject({
      code: 'EEXIST',
    });
    expect(content()).toEqual({ disk: 'old', '.new.tsb': 'new' });
  });

  it('replaces a file, and places it where there is none', async () => {
    writeFileSync(folder.file('disk'), 'old');
    await replaceFile(folder.file('.new.tsb'), folder.file('disk'));
    expect(content()).toEqual({ disk: 'new' });
    await replaceFile(folder.file('disk'), folder.file('other'));
    expect(content()).toEqual({ other: 'new' });
  });

  it('does not replace a folder', async () => {
    mkdirSync(folder.file('disk'));
    await expect(replaceFile(folder.file('.new.tsb'), folder.file('disk'))).rejects.toMatchObject({
      code: 'TSB_OUTPUT_UNUSABLE',
    });
    expect(statSync(folder.file('disk')).isDirectory()).toBe(true);
    expect(readFileSync(folder.file('.new.tsb'), 'utf8')).toBe('new');
  });

  it('gives up, and says so, when others never let it', async () => {
    // Somebody makes the file between each look at the name and the attempt to replace it, and removes it again.
    vi.mocked(libc.exchangeNames).mockImplementation(() => {
      throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    });
    vi.mocked(libc.renameNoReplace).mockImplementation(() => {
      throw Object.assign(new Error('there'), { code: 'EEXIST' });
    });
    await expect(replaceFile(folder.file('.new.tsb'), folder.file('disk'))).rejects.toMatchObject({
      code: 'EBUSY',
    });
    expect(content()).toEqual({ '.new.tsb': 'new' });
  });
});

describe('when the last step fails', () => {
  it('the exchange is undone', async () => {
    writeFileSync(folder.file('disk'), 'old');
    vi.mocked(fs.unlink).mockImplementationOnce(failWith('EPERM'));
    await expect(replaceFile(folder.file('.new.tsb'), folder.file('disk'))).rejects.toMatchObject({
      code: 'EPERM',
    });
    expect(content()).toEqual({ disk: 'old', '.new.tsb': 'new' });
  });

  it('without koffi the old file comes back', async () => {
    writeFileSync(folder.file('disk'), 'old');
    ways['without koffi']();
    vi.mocked(fs.link).mockImplementationOnce(failWith('EEXIST')).mockImplementationOnce(failWith('EIO'));
    await expect(replaceFile(folder.file('.new.tsb'), folder.file('disk'))).rejects.toMatchObject({
      code: 'EIO',
    });
    expect(content()).toEqual({ disk: 'old', '.new.tsb': 'new' });
  });
});

describe('--force interrupted by SIGKILL', () => {
  it('always leaves a whole file under the name', async () => {
    const path = folder.file('disk');
    writeFileSync(path, '0'.repeat(4096));
    for (let round = 0; round < 5; round += 1) {
      const child = spawn(process.execPath, [
        ...['--import', 'tsx', join(import.meta.dirname, '../helpers/replace-forever.ts')],
        path,
      ]);
      await once(child.stdout, 'data');
      await new Promise((done) => setTimeout(done, Math.random() * 60));
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(readFileSync(path, 'utf8')).toMatch(/^(\d)\1{4095}$/);
    }
    await (await openOutputFile(path, { force: true }))[Symbol.asyncDispose]();
    expect(readdirSync(folder.path).sort()).toEqual(['.new.tsb', 'disk']);
  });
});
