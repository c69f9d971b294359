import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Progress, silentProgress } from '../../../src/progress.js';
import { type AddResult, addDisk } from '../../../src/publish/repo/add-template.js';
import { initRepository } from '../../../src/publish/repo/init-repository.js';
import { repositorySigners } from '../../../src/publish/repo/open-signers.js';
import { run } from '../../helpers/disk.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';
import { text } from '../../helpers/xz.js';

const BLOCK = 64 * 1024;
const request = { keys: [], gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) };

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let dir: string;
let warnings: string[];
beforeEach(async () => {
  folder = await scratchFolder();
  dir = join(folder.path, 'repo');
  warnings = [];
  vi.stubEnv('TSBUILDER_DATA_DIR', join(folder.path, 'data'));
  await initRepository({ ...request, dir });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

/** Eight blocks of text, block `changed` another one. */
function disk(changed?: number): Buffer {
  const blocks = Array.from({ length: 8 }, (_, number) => text(BLOCK, number === changed ? 99 : number));
  return Buffer.concat(blocks);
}

async function add(content: Buffer, more: { preset?: string; reuse?: boolean } = {}): Promise<AddResult> {
  const path = join(folder.path, 'disk');
  writeFileSync(path, content);
  return addFile(path, more);
}

async function addFile(path: string, more: { preset?: string; reuse?: boolean } = {}): Promise<AddResult> {
  const progress: Progress = { ...silentProgress, warn: (message) => void warnings.push(message) };
  return addDisk({
    publisher: { dir, signers: await repositorySigners(dir, request), keep: 1 },
    ...{ disk: path, fields: { name: 'sheep', arch: 'x86_64' } },
    ...{
      blockSize: BLOCK,
      preset: '0',
      check: 'crc64',
      jobs: 2,
      sparsify: false,
      reuse: true,
      dryRun: false,
    },
    ...{ progress, signal: new AbortController().signal },
    ...more,
  });
}

const file = (revision: number): string => join(dir, `sheep-x86_64.r${revision}.xz`);
/** All warnings but that a disk without partitions is packed whole. */
const told = (): string[] => warnings.filter((text) => text.includes('revision'));

it('takes blocks from the present revision, and publishes what it would publish without', async () => {
  expect((await add(disk())).packed?.reusedBlocks).toBe(0);
  const next = await add(disk(3));
  expect(next).toMatchObject({ packed: { reusedBlocks: 7 }, published: { revision: 2, changed: true } });
  const again = await add(disk(3), { reuse: false });
  expect(again).toMatchObject({
    packed: { reusedBlocks: 0 },
    published: { revision: 2, changed: false, sha512: next.published?.sha512 },
  });
  expect(told()).toEqual([]);
  run('xz', ['-t', file(2)]);
});

it('takes nothing from a revision that was packed otherwise, or nobody knows how', async () => {
  await add(disk(), { preset: '1' });
  expect((await add(disk(1))).packed?.reusedBlocks).toBe(0);
  const packed = join(folder.path, 'packed');
  writeFileSync(packed, disk(2));
  run('xz', ['-0', '-T1', '--block-size=64KiB', packed]);
  await addFile(`${packed}.xz`);
  expect((await add(disk(1))).packed?.reusedBlocks).toBe(0);
  expect(told()).toEqual([]);
});

it('uses nothing that the signed index does not vouch for, and says so', async () => {
  const first = await add(disk());
  const bytes = readFileSync(file(1));
  bytes[5000]! ^= 1;
  writeFileSync(file(1), bytes);
  const second = await add(disk());
  expect(second.packed?.reusedBlocks).toBe(7);
  expect(second.published).toMatchObject({ changed: false, sha512: first.published?.sha512 });
  expect(told()).toEqual([expect.stringMatching(/^sheep: .*present revision.*block 0 /)]);
});

it.each([
  ['is cut short', () => writeFileSync(file(1), readFileSync(file(1)).subarray(0, 10_000))],
  ['has another block map', () => writeFileSync(`${file(1)}.blocks`, 'tsbuilder block map 1\n')],
  ['has another index', () => writeFileSync(file(1), Buffer.alloc(readFileSync(file(1)).length))],
])('packs all anew where the present file %s', async (_, harm) => {
  const first = await add(disk());
  harm();
  const second = await add(disk());
  expect(second.packed?.reusedBlocks).toBe(0);
  expect(second.published).toMatchObject({ changed: false, sha512: first.published?.sha512 });
  expect(told()).toHaveLength(1);
});
