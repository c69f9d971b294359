import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lockDisk } from '../../src/io/disk-lock.js';
import { openFileSource } from '../../src/io/file-source.js';
import * as libc from '../../src/io/libc.js';
import { silentProgress } from '../../src/progress.js';
import { freeRanges, surveyDisk } from '../../src/publish/free/disk-survey.js';
import { type SparsifyRequest, runSparsify } from '../../src/publish/run-sparsify.js';
import { MIB, makeDisk, makeSparse, patch, peek, run } from '../helpers/disk.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

vi.mock('../../src/io/libc.js', { spy: true });

/** A logical ext4, FAT and swap, junk in every free byte that may be taken, and some in those that may not. */
function makeFullDisk(folder: string): string {
  const disk = makeDisk(
    join(folder, 'disk.img'),
    100 * MIB,
    `label: dos
1 : start=2048, size=32768, type=c
2 : start=40960, size=131072, type=5
5 : start=43008, size=65536, type=83
6 : start=116736, size=16384, type=82
`,
  );
  // Everything the disk does not need is full of something, so that what is lost is seen.
  for (const at of [1, 18, 54, 90, 99]) patch(disk, at * MIB - 65536, Buffer.alloc(65536, 0xaa));
  const part = (name: string, size: number): string => {
    const path = join(folder, name);
    writeFileSync(path, Buffer.alloc(size, 0x55));
    return path;
  };
  const fat = part('fat', 16 * MIB);
  run('mkfs.fat', ['-F', '16', '-n', 'EFI', fat]);
  writeFileSync(join(folder, 'loader'), Buffer.alloc(300_000, 7));
  run('mcopy', ['-i', fat, join(folder, 'loader'), '::LOADER']);
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  for (let index = 0; index < 20; index += 1)
    writeFileSync(join(tree, `f${index}`), Buffer.alloc(index * 9000, index));
  const ext = part('ext', 32 * MIB);
  run('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'nodiscard', '-d', tree, ext]);
  run('debugfs', ['-w', '-f', '-', ext], 'rm f3\nrm f15\nrm f19\n');
  const swap = part('swap', 8 * MIB);
  run('mkswap', ['-L', 'pages', '-U', '11111111-2222-3333-4444-555555555555', swap]);
  patch(disk, MIB, readFileSync(fat));
  patch(disk, 21 * MIB, readFileSync(ext));
  patch(disk, 57 * MIB, readFileSync(swap));
  return disk;
}

const request = (input: string, more: Partial<SparsifyRequest>): SparsifyRequest => ({
  input,
  inPlace: false,
  ignore: [],
  dryRun: false,
  force: false,
  jobs: 2,
  progress: silentProgress,
  signal: new AbortController().signal,
  ...more,
});

function part(disk: string, name: string, [start, size]: [number, number]): string {
  writeFileSync(`${disk}.${name}`, peek(disk, start * MIB, size * MIB));
  return `${disk}.${name}`;
}

/** What a guest sees of the disk: every file, and that nothing is damaged. */
function guestOf(disk: string): unknown {
  const ext = part(disk, 'ext', [21, 32]);
  const fat = part(disk, 'fat', [1, 16]);
  const swap = part(disk, 'swap', [57, 8]);
  run('e2fsck', ['-fn', ext]);
  run('fsck.fat', ['-n', fat]);
  const names = Array.from({ length: 20 }, (_, index) => `f${index}`).filter(
    (name) => !['f3', 'f15', 'f19'].includes(name),
  );
  return {
    files: names.map((name) => run('debugfs', ['-R', `cat ${name}`, ext])),
    loader: run('mtype', ['-i', fat, '::LOADER']),
    swap: run('swaplabel', [swap]).replaceAll(swap, ''),
    start: peek(disk, 0, MIB).toString('base64'),
    end: peek(disk, 99 * MIB, MIB).toString('base64'),
    table: run('sfdisk', ['-d', disk]).replaceAll(disk, ''),
  };
}

const allocated = (path: string): number => statSync(path).blocks * 512;

describe('runSparsify', () => {
  it('frees in place, and changes nothing that a guest sees', async () => {
    await using folder = await scratchFolder();
    const disk = makeFullDisk(folder.path);
    const before = guestOf(disk);
    const full = allocated(disk);
    const result = await runSparsify(request(disk, { inPlace: true }));
    expect(guestOf(disk)).toEqual(before);
    expect(allocated(disk)).toBeLessThan(full / 4);
    expect(result).toMatchObject({ allocatedBefore: full, allocatedAfter: allocated(disk) });
    await using source = await openFileSource(disk);
    const survey = await surveyDisk(source);
    for (const { offset, length } of freeRanges(survey)) {
      const inner = Math.ceil(offset / 4096) * 4096;
      const data = peek(disk, inner, Math.max(0, offset + length - inner - 4096));
      expect(data.every((byte) => byte === 0)).toBe(true);
    }
    expect(
      survey.regions.reduce((at, region) => (expect(region.offset).toBe(at), at + region.length), 0),
    ).toBe(100 * MIB);
    expect(survey.regions.filter(({ left }) => left !== undefined).map(({ name }) => name)).toEqual([
      'start',
      'end',
    ]);
  }, 30_000);

  it('writes a copy in each format and leaves the disk as it is', async () => {
    await using folder = await scratchFolder();
    const disk = makeFullDisk(folder.path);
    const before = guestOf(disk);
    const bytes = readFileSync(disk);
    const copy = join(folder.path, 'copy.img');
    const image = join(folder.path, 'copy.qcow2');
    await runSparsify(request(disk, { output: copy }));
    expect(guestOf(copy)).toEqual(before);
    await runSparsify(request(disk, { output: image, format: 'qcow2' }));
    await runSparsify(request(image, { inPlace: true }));
    run('qemu-img', ['check', image]);
    run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', copy, image]);
    expect(allocated(copy)).toBeLessThan(allocated(disk) / 4);
    expect(readFileSync(disk).equals(bytes)).toBe(true);
    await expect(runSparsify(request(disk, { output: copy }))).rejects.toMatchObject({
      code: 'TSB_OUTPUT_EXISTS',
    });
  }, 30_000);

  it('leaves hibernated swap, encrypted and unknown partitions, damage, and what it is told to', async () => {
    await using folder = await scratchFolder();
    const disk = makeFullDisk(folder.path);
    patch(disk, 57 * MIB + 4086, Buffer.from('S1SUSPEND\0'));
    patch(disk, 21 * MIB + 1024 + 58, Buffer.from([0, 0]));
    const { survey } = await runSparsify(request(disk, { inPlace: true, dryRun: true, ignore: [1] }));
    const of = (name: string): unknown => survey.regions.find((region) => region.name === name);
    expect(of('p1')).toMatchObject({ left: 'to be ignored', freeRanges: [] });
    expect(of('p5')).toMatchObject({
      left: 'damaged ext filesystem: it was not unmounted cleanly',
      freeRanges: [],
    });
    expect(of('p6')).toMatchObject({ left: 'a hibernated system', freeRanges: [] });
    await expect(runSparsify(request(disk, { inPlace: true, ignore: [1, 7] }))).rejects.toMatchObject({
      code: 'TSB_PARTITION_NOT_FOUND',
      hint: 'The disk has partitions 1, 5, 6.',
    });
  });

  it('reads a disk that others read too for a copy, but does not change it under them', async () => {
    await using folder = await scratchFolder();
    const disk = makeFullDisk(folder.path);
    const output = join(folder.path, 'copy.img');
    {
      await using _ = await lockDisk(disk, 'read');
      await runSparsify(request(disk, { output }));
      await runSparsify(request(disk, { inPlace: true, dryRun: true }));
      await expect(runSparsify(request(disk, { inPlace: true }))).rejects.toMatchObject({
        code: 'TSB_LOCKED',
      });
    }
    await using _ = await lockDisk(disk, 'write');
    await expect(runSparsify(request(disk, { output, force: true }))).rejects.toMatchObject({
      code: 'TSB_LOCKED',
    });
  });

  it('refuses a qcow2 image with bitmaps, which the new one would not have', async () => {
    await using folder = await scratchFolder();
    const disk = join(folder.path, 'disk.qcow2');
    run('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '1M']);
    run('qemu-img', ['bitmap', '--add', disk, 'backup']);
    await expect(runSparsify(request(disk, { inPlace: true }))).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: `${disk}: has bitmaps of changes, which a new image would lose`,
    });
    run('qemu-img', ['bitmap', '--remove', disk, 'backup']);
    await runSparsify(request(disk, { inPlace: true }));
  });

  it('refuses arguments that contradict each other', async () => {
    await using folder = await scratchFolder();
    const disk = makeSparse(join(folder.path, 'empty.img'), MIB);
    await expect(runSparsify(request(disk, {}))).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await expect(runSparsify(request(disk, { output: 'x', inPlace: true }))).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
    await expect(runSparsify(request(disk, { format: 'raw', inPlace: true }))).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
  });

  it('tells what is free of a disk alone, and changes nothing', async () => {
    await using folder = await scratchFolder();
    const disk = makeFullDisk(folder.path);
    const bytes = readFileSync(disk);
    const { free, allocatedAfter } = await runSparsify(request(disk, { dryRun: true }));
    expect(free).toBeGreaterThan(40 * MIB);
    expect(allocatedAfter).toBeUndefined();
    expect(readFileSync(disk).equals(bytes)).toBe(true);
  }, 30_000);
});

describe('runSparsify of a block device', () => {
  let folder: Awaited<ReturnType<typeof scratchFolder>>;
  let disk: string;
  let device: string;
  const undo: (() => void)[] = [];

  beforeEach(async () => {
    folder = await scratchFolder();
    disk = join(folder.path, 'disk.img');
    writeFileSync(disk, Buffer.alloc(16 * MIB, 0x5a));
    run('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'nodiscard', disk]);
    device = attach(disk);
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) step();
    await folder[Symbol.asyncDispose]();
  });

  function attach(...args: string[]): string {
    const path = run('losetup', ['--find', '--show', ...args]).trim();
    undo.push(() => run('losetup', ['--detach', path]));
    return path;
  }

  it('discards what is free in place', async () => {
    const before = allocated(disk);
    const { discarded, allocatedAfter } = await runSparsify(request(device, { inPlace: true }));
    expect(discarded).toBeGreaterThan(10 * MIB);
    expect(allocatedAfter).toBeUndefined();
    expect(allocated(disk)).toBeLessThan(before - discarded! + MIB);
    run('e2fsck', ['-fn', device]);
  });

  it('writes a copy', async () => {
    const copy = join(folder.path, 'copy.img');
    const bytes = readFileSync(device);
    await runSparsify(request(device, { output: copy }));
    expect(allocated(copy)).toBeLessThan(4 * MIB);
    run('e2fsck', ['-fn', copy]);
    expect(readFileSync(device).equals(bytes)).toBe(true);
  });

  it('notices that the device was written to, and leaves no copy', async () => {
    const label = 1024 + 120;
    await using writer = await open(device, 'r+');
    let change: Promise<unknown> | undefined;
    const advance = (): void => void (change ??= writer.write('changed', label));
    const step = (): ReturnType<typeof silentProgress.step> => ({ ...silentProgress.step(''), advance });
    const progress = { ...silentProgress, step };
    const output = join(folder.path, 'copy.img');
    await expect(runSparsify(request(device, { output, jobs: 1, progress }))).rejects.toMatchObject({
      code: 'TSB_CONTENT_CHANGED',
      message: expect.stringMatching(`^${device}: its bytes from 0 on`) as string,
    });
    expect(readdirSync(folder.path)).toEqual(['disk.img']);
  });

  it('refuses a device that cannot discard, and says why', async () => {
    const readOnly = attach('--read-only', disk);
    await expect(runSparsify(request(readOnly, { inPlace: true }))).rejects.toMatchObject({
      code: 'TSB_OUTPUT_UNUSABLE',
      message: `${readOnly}: the device is read-only`,
    });
    vi.mocked(libc.discardBlockDevice).mockResolvedValueOnce(false);
    await expect(runSparsify(request(device, { inPlace: true }))).rejects.toMatchObject({
      code: 'TSB_OUTPUT_UNUSABLE',
      message: `${device}: the device does not support discarding`,
    });
  });

  it('refuses a qcow2 image on a device in place', async () => {
    run('qemu-img', ['create', '-q', '-f', 'qcow2', device, '8M']);
    await expect(runSparsify(request(device, { inPlace: true }))).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
  });

  it('refuses a disk that is mounted, by its device and by its file', async () => {
    const point = join(folder.path, 'mounted');
    mkdirSync(point);
    run('mount', [device, point]);
    undo.push(() => run('umount', [point]));
    for (const name of [device, disk])
      for (const how of [{ inPlace: true }, { dryRun: true }, { output: join(folder.path, 'out') }])
        await expect(runSparsify(request(name, how))).rejects.toMatchObject({
          code: 'TSB_LOCKED',
          message: expect.stringContaining(`is mounted on ${point}`) as string,
        });
  });
});
