import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFileSource } from '../../../src/io/file-source.js';
import { silentProgress } from '../../../src/progress.js';
import { type DiskSurvey, freeRanges, surveyDisk } from '../../../src/publish/free/disk-survey.js';
import { punchFree } from '../../../src/publish/free/punch-free.js';
import { MIB, makeDisk, makeDisk4k, makeSparse, patch, run } from '../../helpers/disk.js';
import { type VolumeSpec, physicalVolumeHead } from '../../helpers/physical-volume.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

const PUNCHING = join(import.meta.dirname, '../../helpers/punching-child.ts');

async function surveyOf(path: string): Promise<DiskSurvey> {
  await using source = await openFileSource(path);
  const survey = await surveyDisk(source);
  const end = survey.regions.reduce((at, { offset, length }) => (offset === at ? at + length : NaN), 0);
  expect(end, 'regions cover the disk').toBe(survey.size);
  return survey;
}

async function freed(path: string): Promise<DiskSurvey> {
  const survey = await surveyOf(path);
  const signal = new AbortController().signal;
  await punchFree(path, freeRanges(survey), { progress: silentProgress, signal });
  return survey;
}

/** An ext4 of `mib` MiB, every free byte of it junk, with one file. */
function extImage(folder: string, mib: number): Buffer {
  const path = join(folder, 'ext.img');
  writeFileSync(path, Buffer.alloc(mib * MIB, 0x5a));
  writeFileSync(join(folder, 'file'), Buffer.alloc(3 * MIB, 'content '));
  run('mke2fs', [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-O',
    '^resize_inode',
    '-E',
    'nodiscard,lazy_itable_init=0,lazy_journal_init=0',
    path,
  ]);
  run('debugfs', ['-w', '-R', `write ${join(folder, 'file')} file`, path]);
  return readFileSync(path);
}

/** A physical volume on a whole disk, all of it junk but what `place` writes. */
function lvmDisk(folder: string, volumes: readonly VolumeSpec[], physicalVolumes = 1): string {
  const path = join(folder, 'lvm.img');
  const extents = 32;
  writeFileSync(path, Buffer.alloc((extents + 1) * MIB, 0xaa));
  patch(path, 0, physicalVolumeHead(volumes, { extents, physicalVolumes }));
  return path;
}

const PIECES: VolumeSpec = {
  name: 'root',
  pieces: [
    [20, 6],
    [2, 10],
  ],
};

describe('surveyDisk of LVM', () => {
  it('frees extents that no volume uses, and what is free in a volume in pieces', async () => {
    await using folder = await scratchFolder();
    const path = lvmDisk(folder.path, [PIECES]);
    const image = extImage(folder.path, 16);
    patch(path, 21 * MIB, image.subarray(0, 6 * MIB));
    patch(path, 3 * MIB, image.subarray(6 * MIB));
    const { regions } = await freed(path);
    expect(regions.filter(({ name }) => name === 'group (free)').map(({ offset }) => offset / MIB)).toEqual([
      1, 13, 27,
    ]);
    expect(regions.filter(({ name }) => name === 'group/root').map(({ offset }) => offset / MIB)).toEqual([
      3, 21,
    ]);
    const after = readFileSync(path);
    const volume = Buffer.concat([after.subarray(21 * MIB, 27 * MIB), after.subarray(3 * MIB, 13 * MIB)]);
    writeFileSync(join(folder.path, 'after'), volume);
    run('e2fsck', ['-fn', join(folder.path, 'after')]);
    const content = run('debugfs', ['-R', 'cat file', join(folder.path, 'after')]);
    expect(content).toBe(readFileSync(join(folder.path, 'file'), 'utf8'));
    expect(after.includes(Buffer.alloc(4096, 0xaa))).toBe(false);
    expect(after.includes(Buffer.alloc(4096, 0x5a))).toBe(false);
    expect(run('pvck', ['--dump', 'metadata', path])).toContain('start_extent = 6');
  });

  it.each([
    ['snapshots', [PIECES, { name: 'snap', type: 'snapshot', pieces: [[0, 2]] }], 1, /snapshots/],
    ['two physical volumes', [PIECES], 2, /2 physical volumes/],
  ] as const)('leaves a group with %s', async (_, volumes, count, reason) => {
    await using folder = await scratchFolder();
    const { regions } = await surveyOf(lvmDisk(folder.path, volumes, count));
    expect(regions).toMatchObject([{ freeRanges: [], left: expect.stringMatching(reason) as string }]);
  });
});

describe('surveyDisk', () => {
  it.each([12, 16, 32])('frees clusters of FAT%i that have no file', async (bits) => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'fat.img');
    writeFileSync(path, Buffer.alloc({ 12: 4, 16: 16, 32: 40 }[bits]! * MIB, 0x5a));
    run('mkfs.fat', ['-F', String(bits), '-s', bits === 12 ? '4' : '1', path]);
    const content = Buffer.alloc(300_001, 'kept ');
    writeFileSync(join(folder.path, 'kept'), content);
    run('mcopy', ['-i', path, join(folder.path, 'kept'), '::KEPT']);
    run('mcopy', ['-i', path, join(folder.path, 'kept'), '::GONE']);
    run('mcopy', ['-i', path, join(folder.path, 'kept'), '::LAST']);
    run('mdel', ['-i', path, '::GONE']);
    const { table, regions } = await freed(path);
    expect(table).toBe('none');
    expect(regions).toMatchObject([{ name: '/', content: 'vfat' }]);
    run('fsck.fat', ['-n', path]);
    for (const name of ['KEPT', 'LAST'])
      expect(run('mtype', ['-i', path, `::${name}`])).toBe(content.toString());
    expect(readFileSync(path).includes(Buffer.alloc(8192, 0x5a))).toBe(false);
    const info = run('minfo', ['-i', path, '::']);
    expect(info).toContain(`FAT${bits}`);
  });

  it('reads a GPT of sectors of 4 KiB', async () => {
    await using folder = await scratchFolder();
    const path = makeDisk4k(
      join(folder.path, 'disk.img'),
      24 * MIB,
      'label: gpt\n1 : start=256, size=4096\n',
    );
    patch(path, MIB, extImage(folder.path, 16));
    const table = readFileSync(path).subarray(0, MIB);
    const { regions } = await freed(path);
    expect(regions.map(({ name }) => name)).toEqual(['table', 'start', 'p1', 'gap', 'end', 'table']);
    const after = readFileSync(path);
    expect(after.subarray(0, MIB).equals(table)).toBe(true);
    writeFileSync(join(folder.path, 'after'), after.subarray(MIB, 17 * MIB));
    run('e2fsck', ['-fn', join(folder.path, 'after')]);
    expect(after.includes(Buffer.alloc(8192, 0x5a))).toBe(false);
  });

  it.each([
    ['mkfs.xfs', 320, 'xfs'],
    ['mkfs.btrfs', 128, 'btrfs'],
    ['mkfs.ntfs', 8, 'ntfs'],
  ])('leaves what %s makes, and names what can look into it', async (tool, mib, content) => {
    await using folder = await scratchFolder();
    const path = makeSparse(join(folder.path, 'disk.img'), mib * MIB);
    run(tool, [...(tool === 'mkfs.ntfs' ? ['-F', '-Q'] : ['-q']), path]);
    expect(await surveyOf(path)).toMatchObject({
      regions: [{ content, freeRanges: [], left: expect.stringContaining('libguestfs-tools') as string }],
    });
  });

  it('leaves a disk of which nothing is known', async () => {
    await using folder = await scratchFolder();
    const path = makeSparse(join(folder.path, 'empty.img'), 4 * MIB);
    expect(await surveyOf(path)).toMatchObject({
      table: 'none',
      regions: [{ name: '/', content: 'unknown', freeRanges: [], left: 'not known what it is' }],
    });
  });
});

/** Frees 4 KiB at a time in a process of its own, which is killed by SIGKILL after it told of so many pieces. */
async function killWhileFreeing(path: string, pieces: number): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', PUNCHING, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = 0;
  child.stdout.on('data', (data: Buffer) => {
    told += data.length;
    if (told >= pieces) child.kill('SIGKILL');
  });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
}

describe('punchFree', () => {
  const pieces = Array.from({ length: 8 }, (_, index) => ({ offset: (2 * index + 1) * MIB, length: MIB }));

  it('stops when someone else writes to the disk, and leaves one that is valid', async () => {
    await using folder = await scratchFolder();
    const path = makeDisk(join(folder.path, 'disk.img'), 20 * MIB, 'label: gpt\n');
    const whole = Buffer.alloc(16 * MIB, 0x33);
    patch(path, MIB, whole);
    let steps = 0;
    const progress = {
      ...silentProgress,
      step: () => ({
        advance: () => {
          steps += 1;
          if (steps === 3) patch(path, 18 * MIB, Buffer.from('someone else'));
        },
        [Symbol.dispose]: () => undefined,
      }),
    };
    const signal = new AbortController().signal;
    await expect(punchFree(path, pieces, { progress, signal })).rejects.toMatchObject({
      code: 'TSB_CONTENT_CHANGED',
    });
    const after = readFileSync(path);
    expect(steps).toBe(3);
    for (let at = 1; at < 17; at += 1) {
      const isFreed = at % 2 === 1 && at < 7;
      expect(after.subarray(at * MIB, (at + 1) * MIB).equals(Buffer.alloc(MIB, isFreed ? 0 : 0x33))).toBe(
        true,
      );
    }
  });

  it('leaves a valid disk when it is killed', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'disk.img');
    const image = extImage(folder.path, 64);
    for (let time = 0; time < 3; time += 1) {
      writeFileSync(path, image);
      await killWhileFreeing(path, 2 + 5 * time);
      run('e2fsck', ['-fn', path]);
      expect(run('debugfs', ['-R', 'cat file', path])).toBe(readFileSync(join(folder.path, 'file'), 'utf8'));
    }
    await freed(path);
    run('e2fsck', ['-fn', path]);
  }, 30_000);

  it('ends between two pieces when it is aborted', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'disk.img');
    writeFileSync(path, Buffer.alloc(17 * MIB, 0x33));
    const controller = new AbortController();
    const step = { advance: () => controller.abort(new Error('stop')), [Symbol.dispose]: () => undefined };
    const progress = { ...silentProgress, step: () => step };
    await expect(punchFree(path, pieces, { progress, signal: controller.signal })).rejects.toThrow('stop');
    const freedBytes = readFileSync(path).filter((byte) => byte === 0).length;
    expect(freedBytes).toBe(MIB);
  });
});
