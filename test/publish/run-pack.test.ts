import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { open, readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDisk } from '../../src/io/disk-lock.js';
import { openFileSource } from '../../src/io/file-source.js';
import { silentProgress } from '../../src/progress.js';
import { type PackRequest, runPack } from '../../src/publish/run-pack.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { text, xz } from '../helpers/xz.js';

const DATA = Buffer.concat([text(300_000), Buffer.alloc(1_500_000), text(297_152, 2)]);

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let file: (name: string) => string;

beforeEach(async () => {
  folder = await scratchFolder();
  file = (name) => join(folder.path, name);
  await writeFile(file('disk'), DATA);
});
afterEach(() => folder[Symbol.asyncDispose]());

const request = (extra: Partial<PackRequest> = {}): PackRequest => ({
  ...{ input: file('disk'), output: file('out.xz'), blockSize: 256 * 1024, preset: '0', check: 'crc64' },
  ...{ jobs: 2, sparsify: true, verify: true, force: false, progress: silentProgress },
  signal: new AbortController().signal,
  ...extra,
});

const unpacked = (): Buffer => execFileSync('xz', ['-dc', file('out.xz')], { maxBuffer: 2 ** 26 });
const convert = (format: string, ...more: string[]): void =>
  void execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', format, ...more, file('disk'), file('image')]);

describe('runPack', () => {
  it('packs a raw disk and tells what it made', async () => {
    const result = await runPack(request());
    const packed = await readFile(file('out.xz'));
    expect(unpacked().equals(DATA)).toBe(true);
    expect(result).toMatchObject({
      ...{ output: file('out.xz'), size: DATA.length, packedSize: packed.length, zeroBlocks: 4 },
      ...{ freed: 0, verified: true, sha512: createHash('sha512').update(packed).digest('hex') },
    });
    expect((await readFile(file('disk'))).equals(DATA)).toBe(true);
  });

  it('lets others pack the disk at the same time', async () => {
    const outputs = ['one.xz', 'two.xz', 'three.xz'].map(file);
    const results = await Promise.all(outputs.map((output) => runPack(request({ output }))));
    expect(new Set(results.map(({ sha512 }) => sha512)).size).toBe(1);
  });

  it.each([['qcow2'], ['qcow2', '-c'], ['vmdk'], ['vdi'], ['vhdx'], ['vpc', '-o', 'force_size=on']])(
    'packs %s %s',
    async (format, ...more) => {
      convert(format, ...more);
      await runPack(request({ input: file('image') }));
      const content = unpacked();
      expect(content.subarray(0, DATA.length).equals(DATA)).toBe(true);
      expect((await readdir(folder.path)).sort()).toEqual(['disk', 'image', 'out.xz']);
    },
  );

  it('leaves out what a filesystem does not use', async () => {
    const disk = await open(file('ext'), 'wx');
    await disk.truncate(32 * 1024 ** 2);
    await disk.close();
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-F', file('ext')]);
    await writeFile(file('big'), text(8 * 1024 ** 2));
    execFileSync('debugfs', ['-w', '-f', '-', file('ext')], { input: `write ${file('big')} big\nrm big\n` });
    const small = await runPack(request({ input: file('ext'), output: file('out.xz') }));
    const large = await runPack(request({ input: file('ext'), output: file('all.xz'), sparsify: false }));
    expect(small.freed).toBeGreaterThanOrEqual(8 * 1024 ** 2);
    expect(large.freed).toBe(0);
    expect(small.packedSize).toBeLessThan(large.packedSize / 4);
    await writeFile(file('again'), unpacked());
    execFileSync('e2fsck', ['-fn', file('again')], { stdio: 'ignore' });
  });

  it('says which partitions are packed whole, and nothing of the room in front of them', async () => {
    const disk = await open(file('gpt'), 'wx');
    await disk.truncate(8 * 1024 ** 2);
    await disk.write('LUKS\xba\xbe\0\x02', 4 * 1024 ** 2, 'latin1');
    await disk.close();
    const input = 'label: gpt\nstart=4MiB,size=2MiB\n';
    execFileSync('sfdisk', ['-q', file('gpt')], { input, stdio: ['pipe', 'ignore', 'ignore'] });
    const { warnings } = await runPack(request({ input: file('gpt') }));
    expect(warnings).toEqual([expect.stringMatching(/^p1 .* is packed whole: /)]);
  });

  it('says that snapshots are not packed', async () => {
    convert('qcow2');
    execFileSync('qemu-img', ['snapshot', '-c', 'one', file('image')]);
    const { warnings } = await runPack(request({ input: file('image') }));
    expect(warnings).toContain(`${file('image')}: snapshots in it (1) are not packed`);
  });

  it('says that bitmaps are not packed', async () => {
    convert('qcow2');
    execFileSync('qemu-img', ['bitmap', '--add', file('image'), 'backup']);
    const { warnings } = await runPack(request({ input: file('image') }));
    expect(warnings).toContain(`${file('image')}: bitmaps of changes in it are not packed`);
  });

  it('refuses a pipe without waiting for it, and a folder', async () => {
    execFileSync('mkfifo', [file('pipe')]);
    for (const input of [file('pipe'), folder.path]) {
      await expect(runPack(request({ input }))).rejects.toMatchObject({ code: 'TSB_USAGE' });
      await expect(openFileSource(input)).rejects.toMatchObject({ code: 'TSB_IO' });
    }
  });

  it('refuses images that need others, and what is compressed', async () => {
    execFileSync('qemu-img', ['create', '-qf', 'qcow2', '-F', 'raw', '-b', file('disk'), file('over')]);
    await writeFile(file('in.xz'), xz(DATA, '-0'));
    await expect(runPack(request({ input: file('over') }))).rejects.toMatchObject({
      code: 'TSB_IMAGE_INVALID',
      hint: expect.stringContaining('qemu-img convert') as string,
    });
    convert('qcow2');
    await truncate(file('image'), 300);
    const cut = runPack(request({ input: file('image') }));
    await expect(cut).rejects.toMatchObject({ code: 'TSB_IMAGE_INVALID', hint: undefined });
    await expect(runPack(request({ input: file('in.xz') }))).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await expect(runPack(request({ output: '-' }))).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await expect(runPack(request({ output: file('disk'), force: true }))).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
    expect((await readdir(folder.path)).sort()).toEqual(['disk', 'image', 'in.xz', 'over']);
  });

  it('packs a disk that others read too, but none that one writes to', async () => {
    {
      await using _ = await lockDisk(file('disk'), 'read');
      await runPack(request());
    }
    await using _ = await lockDisk(file('disk'), 'write');
    await expect(runPack(request({ force: true }))).rejects.toMatchObject({ code: 'TSB_LOCKED' });
  });

  it('notices that the disk was written to, and leaves nothing', async () => {
    await using disk = await open(file('disk'), 'r+');
    let change: Promise<unknown> | undefined;
    const advance = (): void => void (change ??= disk.write('!', 5));
    const step = (): ReturnType<typeof silentProgress.step> => ({ ...silentProgress.step(''), advance });
    await expect(runPack(request({ progress: { ...silentProgress, step } }))).rejects.toMatchObject({
      code: 'TSB_CONTENT_CHANGED',
    });
    expect(await readdir(folder.path)).toEqual(['disk']);
  });

  it('stops when told to, and leaves nothing', async () => {
    const stop = new AbortController();
    const step = (): ReturnType<typeof silentProgress.step> => ({
      ...silentProgress.step(''),
      advance: () => stop.abort(),
    });
    const run = runPack(request({ progress: { ...silentProgress, step }, signal: stop.signal }));
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    expect(await readdir(folder.path)).toEqual(['disk']);
  });
});
