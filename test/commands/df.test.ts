import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';
import { describe, expect, it } from 'vitest';
import Df from '../../src/commands/df.js';
import type { DfResult } from '../../src/publish/run-df.js';
import { MIB, makeDisk, patch, run } from '../helpers/disk.js';
import { startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

async function df(...words: string[]): Promise<{ result: DfResult; text: string; errors: string }> {
  const config = await Config.load(join(import.meta.dirname, '../..'));
  const { result, stdout, stderr, error } = await captureOutput<DfResult>(() => Df.run(words, config));
  if (error) throw error;
  return { result: result as DfResult, text: stdout, errors: stderr };
}

/** A disk with an ext4 of which 3 MiB are used and 4 MiB are deleted data. */
function makeUsed(folder: string): string {
  const disk = makeDisk(join(folder, 'disk.img'), 40 * MIB, 'label: gpt\n1 : start=2048, size=65536\n');
  const data = join(folder, 'data');
  const part = join(folder, 'part');
  writeFileSync(data, Buffer.alloc(4 * MIB, 'not much to pack '));
  writeFileSync(part, '');
  run('truncate', ['-s', '32M', part]);
  run('mke2fs', ['-q', '-F', '-t', 'ext4', '-L', '<b>&', part]);
  run('debugfs', ['-w', '-f', '-', part], `write ${data} old\n`);
  run('debugfs', ['-w', '-f', '-', part], 'rm old\n');
  run('dd', [`if=${part}`, `of=${disk}`, 'bs=4k', 'seek=256', 'conv=notrunc,sparse', 'status=none']);
  return disk;
}

describe('tsbuilder df', () => {
  it('tells what is used and what sparsify frees, and draws it', async () => {
    await using folder = await scratchFolder();
    const disk = makeUsed(folder.path);
    const map = join(folder.path, 'map.html');
    const { result, text } = await df(disk, '--map', map);
    const [root] = result.regions.filter(({ partition }) => partition === 1);
    expect(root).toMatchObject({ content: 'ext4', label: '<b>&', length: 32 * MIB });
    expect((root?.used ?? 0) + (root?.free ?? 0)).toBe(root?.size);
    expect(result.sparsify.exact).toBe(true);
    expect(result.sparsify.freeable).toBeGreaterThanOrEqual(4 * MIB);
    expect(result.sparsify.freeable).toBeLessThan(4.5 * MIB);
    expect(result.packing?.packed).toBeLessThan(MIB);
    expect(text).toMatch(/^p1 +ext4 +<b>& +32 MiB/m);
    expect(text).toMatch(/sparsify frees 4(\.\d)? MiB of/);
    expect(readFileSync(map, 'utf8')).toMatch(/not in use, takes room, 4(\.\d)? MiB/);
    expect(readFileSync(map, 'utf8')).not.toContain('<b>');
    expect((await df(disk, '--map', map)).errors).toContain('TSB_OUTPUT_EXISTS');
    expect((await df(disk, '--map', 'map.png')).errors).toContain('TSB_USAGE');
    process.exitCode = undefined;
    const qcow2 = join(folder.path, 'disk.qcow2');
    run('qemu-img', ['convert', '-O', 'qcow2', disk, qcow2]);
    expect((await df(qcow2, '--bytes')).text).toContain(String(root?.used));
  }, 30_000);

  it('sums up the gaps, says what only drivers know, and guesses no gain where there is none', async () => {
    await using folder = await scratchFolder();
    const table = 'label: gpt\n1 : start=4096, size=16384\n2 : start=24576, size=32768\n';
    const disk = makeDisk(join(folder.path, 'disk.img'), 40 * MIB, table);
    const xfs = join(folder.path, 'xfs');
    run('truncate', ['-s', '300M', xfs]);
    run('mkfs.xfs', ['-q', xfs]);
    patch(disk, 2 * MIB, randomBytes(8 * MIB));
    patch(disk, 11 * MIB, randomBytes(4096));
    patch(disk, 30 * MIB, randomBytes(4096));
    const { result } = await df(disk);
    const gaps = result.regions.filter(({ name }) => name === 'gap');
    expect(gaps).toMatchObject([{ freeable: 8192 }]);
    expect(gaps[0]?.free).toBe(gaps[0]?.length);
    expect(result.packing?.packed).toBeGreaterThan(7.9 * MIB);
    expect(result.packing?.packed).toBeLessThanOrEqual(result.total.data);
    const driven = await df(xfs);
    expect(driven.result.sparsify.driven).toBe(driven.result.total.data);
    expect(driven.text).toMatch(/pack would make about .* or less of/);
    expect(driven.text).toContain('places of its free space not known: only its driver');
    expect(driven.text).toMatch(/of data, and what drivers find free in [0-9.]+ [KM]iB$/m);
  }, 30_000);

  it('tells what takes how much of an xz file, and reads only ranges of one on a server', async () => {
    await using folder = await scratchFolder();
    const disk = makeUsed(folder.path);
    patch(disk, 20 * MIB, Buffer.from(Array.from({ length: 2 * MIB }, (_, at) => (at * at * 31) % 251)));
    run('xz', ['-1', '--block-size=1MiB', '-T1', disk]);
    const packed = readFileSync(`${disk}.xz`);
    await using server = await startTestServer({ '/disk.xz': { data: packed } });
    const { result } = await df(`${server.url}/disk.xz`);
    expect(server.requests.every(({ headers, method }) => method === 'HEAD' || headers.range)).toBe(true);
    expect(result.packing).toMatchObject({ packed: packed.length, estimated: false });
    const sum = result.regions.reduce((total, region) => total + (region.packed ?? 0), 0);
    expect(sum).toBeGreaterThan(packed.length * 0.9);
    expect(sum).toBeLessThanOrEqual(packed.length);
    expect(result.sparsify.exact).toBe(false);
    expect((await df(`${disk}.xz`)).result).toMatchObject({
      regions: result.regions,
      packing: result.packing,
    });
  }, 30_000);
});
