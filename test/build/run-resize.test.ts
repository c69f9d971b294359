import { execFileSync } from 'node:child_process';
import { link, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ResizeRequest, runResize } from '../../src/build/run-resize.js';
import { silentProgress } from '../../src/progress.js';
import { MIB, makeDisk, patch, peek, run } from '../helpers/disk.js';
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

  describe('in place', () => {
    const inPlace = (path: string, size: number): ResizeRequest => ({
      ...request(path, ''),
      output: undefined,
      inPlace: true,
      targetSize: () => size,
    });
    /** A disk with an ext4 in its first partition, something behind it, and a file in the ext4. */
    const makeDiskFile = (): string => {
      const path = makeDisk(file('disk'), 24 * MIB, 'label: gpt\nstart=2048, size=16M\nsize=4M\n');
      run('mke2fs', ['-q', '-t', 'ext4', '-E', `offset=${MIB}`, path, '16M']);
      patch(path, 18 * MIB, DATA);
      return path;
    };

    it('moves what is behind, and keeps holes', async () => {
      const path = makeDiskFile();
      const { grown } = await runResize({ ...inPlace(path, 64 * MIB), expand: '1' });
      expect(grown).toMatchObject([{ partition: 1, name: 'ext4' }]);
      run('e2fsck', ['-fn', `${path}?offset=${MIB}`]);
      const [, second] = run('sfdisk', ['-qlo', 'start', path]).trim().split('\n').slice(1).map(Number);
      expect(second).toBeGreaterThan(24 * 2048);
      expect(peek(path, second! * 512 + MIB, DATA.length).equals(DATA)).toBe(true);
      expect((await stat(path)).blocks * 512).toBeLessThan(10 * MIB);
    });

    it('leaves the disk as it was when a filesystem is damaged', async () => {
      const path = makeDiskFile();
      // The root folder is gone: nothing that is repaired without asking.
      run('debugfs', ['-w', '-R', 'clri <2>', `${path}?offset=${MIB}`]);
      const around = (): Buffer => Buffer.concat([peek(path, 0, MIB), peek(path, 18 * MIB, 6 * MIB)]);
      const before = around();
      await expect(runResize({ ...inPlace(path, 64 * MIB), expand: '1' })).rejects.toMatchObject({
        code: 'TSB_FILESYSTEM',
      });
      expect((await stat(path)).size).toBe(24 * MIB);
      expect(around().equals(before)).toBe(true);
    });

    it('repairs what is safe to repair, and then grows', async () => {
      const path = makeDiskFile();
      run('debugfs', ['-w', '-R', 'ssv free_blocks_count 1', `${path}?offset=${MIB}`]);
      await runResize({ ...inPlace(path, 64 * MIB), expand: '1' });
      run('e2fsck', ['-fn', `${path}?offset=${MIB}`]);
    });

    it('asks for room first', async () => {
      const path = makeDiskFile();
      await expect(runResize({ ...inPlace(path, 2 ** 52), expand: '1' })).rejects.toMatchObject({
        code: 'TSB_NO_SPACE',
      });
      expect((await stat(path)).size).toBe(24 * MIB);
    });
  });
});
