import { execFileSync } from 'node:child_process';
import { link, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ResizeRequest, runResize } from '../../src/build/run-resize.js';
import { silentProgress } from '../../src/progress.js';
import { startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { text } from '../helpers/xz.js';

const DATA = text(1024 * 1024);
/** Where an ext superblock counts the blocks of its filesystem. */
const BLOCK_COUNT = 1024 + 4;
const SBIN = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let file: (name: string) => string;

beforeEach(async () => {
  folder = await scratchFolder();
  file = (name) => join(folder.path, name);
});
afterEach(() => folder[Symbol.asyncDispose]());

const request = (input: string, output: string): ResizeRequest => ({
  input,
  output,
  inPlace: false,
  targetSize: (size) => 2 * size,
  format: 'raw',
  jobs: 2,
  force: true,
  sync: false,
  dryRun: false,
  progress: silentProgress,
  signal: new AbortController().signal,
});

describe('runResize', () => {
  it('refuses to replace the input, under any of its names', async () => {
    await writeFile(file('a'), DATA);
    await link(file('a'), file('b'));
    for (const output of ['a', 'b']) {
      await expect(runResize(request(file('a'), file(output)))).rejects.toMatchObject({
        code: 'TSB_USAGE',
        hint: expect.stringContaining('--in-place') as string,
      });
    }
    expect(DATA.equals(await readFile(file('a')))).toBe(true);
    expect(await readdir(folder.path)).toEqual(['a', 'b']);
  });

  it('refuses a URL that is none', async () => {
    await expect(runResize(request('http://', file('a')))).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('downloads from a server without range requests and leaves only the output', async () => {
    execFileSync('mke2fs', ['-q', '-t', 'ext4', file('fs'), '4M'], { env: SBIN });
    const data = await readFile(file('fs'));
    await using server = await startTestServer({ '/disk': { data, ranges: false } });
    await runResize(request(`${server.url}/disk`, file('a')));
    const made = await readFile(file('a'));
    expect(made.length).toBe(2 * data.length);
    expect(made.readUInt32LE(BLOCK_COUNT)).toBe(2 * data.readUInt32LE(BLOCK_COUNT));
    expect(await readdir(folder.path)).toEqual(['a', 'fs']);
  });
});
