import { execFileSync, spawnSync } from 'node:child_process';
import { link, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TargetRequest } from '../../src/build/content-target.js';
import { defaultUnpackedName, runUnpack } from '../../src/build/run-unpack.js';
import { silentProgress } from '../../src/progress.js';
import { startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { text, xz } from '../helpers/xz.js';

const DATA = text(3_000_000);
const PACKED = xz(DATA, '--block-size=1000000');

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let file: (name: string) => string;

beforeEach(async () => {
  folder = await scratchFolder();
  file = (name) => join(folder.path, name);
});
afterEach(() => folder[Symbol.asyncDispose]());

const request = (input: string, output: string): TargetRequest => ({
  input,
  output,
  format: 'raw',
  jobs: 2,
  force: true,
  sync: false,
  progress: silentProgress,
  signal: new AbortController().signal,
});

describe('defaultUnpackedName', () => {
  it('takes the ending away', () => {
    expect(defaultUnpackedName('dir/a.img.xz')).toBe('dir/a.img');
    expect(defaultUnpackedName('http://host/dir/a%20b.txz?x')).toBe('a b.tar');
  });

  it.each([
    'http://host/%zz.xz',
    'http://host/a%00.xz',
    'http://',
    'https://h:99999/a.xz',
    'ftp://h/a.xz',
    'a.img',
  ])('refuses %s as a mistake of the user', (source) => {
    expect(() => defaultUnpackedName(source)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });
});

describe('runUnpack', () => {
  it('refuses to replace the input, under any of its names', async () => {
    await writeFile(file('a.xz'), PACKED);
    await link(file('a.xz'), file('b'));
    for (const [input, output] of [
      [file('a.xz'), file('a.xz')],
      [`file://${file('a.xz')}`, file('b')],
    ] as const) {
      await expect(runUnpack(request(input, output))).rejects.toMatchObject({ code: 'TSB_USAGE' });
    }
    expect(PACKED.equals(await readFile(file('b')))).toBe(true);
    expect(await readdir(folder.path)).toEqual(['a.xz', 'b']);
  });

  it('unpacks from a server without range requests and leaves only the output', async () => {
    await using server = await startTestServer({ '/a.xz': { data: PACKED, ranges: false } });
    const result = await runUnpack(request(`${server.url}/a.xz`, file('a')));
    expect(result).toMatchObject({ output: file('a'), size: DATA.length, packedSize: PACKED.length });
    expect(DATA.equals(await readFile(file('a')))).toBe(true);
    expect(await readdir(folder.path)).toEqual(['a']);
  });

  it('ends quietly when the reader of the pipe goes away', async () => {
    await writeFile(file('a.xz'), PACKED);
    const child = ['--import', 'tsx', join(import.meta.dirname, '../helpers/unpack-child.ts'), file('a.xz')];
    const script = '"$@" | head -c 1; echo " ${PIPESTATUS[0]}"';
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', process.execPath, ...child]);
    expect(stdout.toString()).toBe(`${DATA.toString('latin1', 0, 1)} 141\n`);
    expect(stderr.toString()).toBe('');
  });

  it('writes everything to a pipe that is read', async () => {
    await writeFile(file('a.xz'), PACKED);
    const child = ['--import', 'tsx', join(import.meta.dirname, '../helpers/unpack-child.ts'), file('a.xz')];
    expect(DATA.equals(execFileSync(process.execPath, child, { maxBuffer: 2 ** 24 }))).toBe(true);
  });
});
