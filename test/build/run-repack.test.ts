import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RepackRequest, runRepack } from '../../src/build/run-repack.js';
import { silentProgress } from '../../src/progress.js';
import { startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { text, xz } from '../helpers/xz.js';

const DATA = Buffer.concat([text(300_000), Buffer.alloc(4_500_000), text(100_000, 2)]);

const SMALL_BLOCKS = xz(DATA, '-0', '--block-size=100000');

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let file: (name: string) => string;

beforeEach(async () => {
  folder = await scratchFolder();
  file = (name) => join(folder.path, name);
});
afterEach(() => folder[Symbol.asyncDispose]());

const request = (extra: Partial<RepackRequest> = {}): RepackRequest => ({
  input: file('in.xz'),
  output: file('out.xz'),
  blockSize: 1024 * 1024,
  preset: '0',
  check: 'crc64',
  jobs: 1,
  force: false,
  verify: true,
  progress: silentProgress,
  signal: new AbortController().signal,
  ...extra,
});

/** Blocks of a file, and whether the headers of all of them have sizes, as `xz --list` sees it. */
function blocksOf(path: string): { count: number; sized: boolean } {
  const lines = execFileSync('xz', ['--robot', '-lvv', path]).toString().split('\n');
  const blocks = lines.filter((line) => line.startsWith('block')).map((line) => line.split('\t'));
  return { count: blocks.length, sized: blocks.every((fields) => fields[12]?.includes('u') === true) };
}

describe('runRepack', () => {
  it.each([
    ['one block', xz(DATA, '-0', '-T1')],
    ['several streams', Buffer.concat([xz(DATA.subarray(0, 2_000_000)), xz(DATA.subarray(2_000_000))])],
    ['small blocks', xz(DATA, '-0', '--block-size=100000')],
  ])('packs %s in blocks with their sizes', async (_, packed) => {
    await writeFile(file('in.xz'), packed);
    const result = await runRepack(request());
    expect(result).toMatchObject({
      output: file('out.xz'),
      size: DATA.length,
      sha256: createHash('sha256').update(DATA).digest('hex'),
      packedBefore: packed.length,
      packedSize: (await readFile(file('out.xz'))).length,
      verified: true,
    });
    expect(execFileSync('xz', ['-dc', file('out.xz')], { maxBuffer: 2 ** 24 }).equals(DATA)).toBe(true);
    expect(blocksOf(file('out.xz'))).toEqual({ count: 5, sized: true });
  });

  it('has each block checked as it is told', async () => {
    await writeFile(file('in.xz'), xz(DATA, '-0'));
    await runRepack(request({ check: 'sha256' }));
    const lines = execFileSync('xz', ['--robot', '-lvv', file('out.xz')])
      .toString()
      .split('\n');
    const checks = lines.filter((line) => line.startsWith('block')).map((line) => line.split('\t')[9]);
    expect(new Set(checks)).toEqual(new Set(['SHA-256']));
    execFileSync('xz', ['-t', file('out.xz')]);
  });

  it('packs what is on a server, and nothing', async () => {
    const packed = xz(Buffer.alloc(0));
    await using server = await startTestServer({ '/a.xz': { data: packed } });
    await runRepack(request({ input: `${server.url}/a.xz`, verify: false }));
    expect(execFileSync('xz', ['-dc', file('out.xz')], { maxBuffer: 2 ** 24 })).toHaveLength(0);
  });

  it.each([
    ['a damaged file', {}, 'TSB_XZ_CORRUPT'],
    ['a file that is not xz', { input: 'plain' }, 'TSB_XZ_UNSUPPORTED'],
    ['no preset', { preset: '10' }, 'TSB_USAGE'],
    ['options for the shell', { preset: '1;x' }, 'TSB_USAGE'],
    ['tiny blocks', { blockSize: 4096 }, 'TSB_USAGE'],
    ['standard output', { output: '-' }, 'TSB_USAGE'],
    ['the input as output', { output: 'in.xz', force: true }, 'TSB_USAGE'],
    ['a file that is there', { output: 'plain' }, 'TSB_OUTPUT_EXISTS'],
  ])('refuses %s and leaves nothing', async (_, extra: Partial<RepackRequest>, code) => {
    const packed = Buffer.from(SMALL_BLOCKS);
    packed.fill(0x55, packed.length - 1000, packed.length - 900);
    await writeFile(file('in.xz'), packed);
    await writeFile(file('plain'), 'plain');
    const place = (name: string | undefined) => (name && name !== '-' ? file(name) : name);
    const paths = {
      input: place(extra.input) ?? file('in.xz'),
      output: place(extra.output) ?? file('out.xz'),
    };
    await expect(runRepack(request({ ...extra, ...paths }))).rejects.toMatchObject({ code });
    expect((await readdir(folder.path)).sort()).toEqual(['in.xz', 'plain']);
    expect((await readFile(file('in.xz'))).equals(packed)).toBe(true);
  });

  it('stops at once, and leaves nothing', async () => {
    await writeFile(file('in.xz'), SMALL_BLOCKS);
    const stop = new AbortController();
    const steps = { ...silentProgress.step(''), advance: () => stop.abort() };
    const progress = { ...silentProgress, step: () => steps };
    await expect(runRepack(request({ progress, signal: stop.signal }))).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await readdir(folder.path)).toEqual(['in.xz']);
  });
});
