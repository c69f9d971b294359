import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { openFileSource } from '../../../src/io/file-source.js';
import { silentProgress } from '../../../src/progress.js';
import { askDrivers } from '../../../src/publish/free/ask-drivers.js';
import { type DiskSurvey, freeRanges, surveyDisk } from '../../../src/publish/free/disk-survey.js';
import { punchFree } from '../../../src/publish/free/punch-free.js';
import { MIB, makeDisk, makeSparse, patch, peek, run } from '../../helpers/disk.js';
import { physicalVolumeHead } from '../../helpers/physical-volume.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

const FIXTURE = join(import.meta.dirname, '../../fixtures/xfs/dirty-log.img.xz');
const options = { progress: silentProgress, signal: new AbortController().signal };

async function surveyOf(path: string): Promise<DiskSurvey> {
  await using source = await openFileSource(path);
  return await surveyDisk(source);
}

/** A filesystem of `mib` MiB in a file where every byte was junk. */
function makeFilesystem(path: string, mib: number, [tool, ...args]: [string, ...string[]]): Buffer {
  writeFileSync(path, Buffer.alloc(mib * MIB, 0x5a));
  run(tool, [...args, path]);
  return readFileSync(path);
}

const CONTENT = Buffer.alloc(3_000_001, 'content ');

interface Place {
  readonly name: string;
  readonly offset: number;
  readonly mib: number;
}

const PLACES: readonly Place[] = [
  { name: 'p1', offset: 1, mib: 304 },
  { name: 'p2', offset: 305, mib: 128 },
  { name: 'p3', offset: 433, mib: 16 },
  { name: 'p4', offset: 449, mib: 300 },
];

/** XFS, btrfs, NTFS and the XFS with a dirty log on partitions, and btrfs on a logical volume in two pieces. Each that is clean has one file. */
function makeDisks(folder: string): string {
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  writeFileSync(join(tree, 'file'), CONTENT);
  const proto = join(folder, 'proto');
  writeFileSync(proto, `/x\n0 0\nd--755 0 0\nfile ---644 0 0 ${join(tree, 'file')}\n$\n`);
  const made = join(folder, 'made');
  const btrfs = ['mkfs.btrfs', '-q', '-K', '--rootdir', tree] as const;
  const filesystems = [
    makeFilesystem(made, 304, ['mkfs.xfs', '-q', '-f', '-K', '-p', proto]),
    makeFilesystem(made, 128, [...btrfs]),
    makeFilesystem(made, 16, ['mkntfs', '-q', '-F', '-f']),
    execFileSync('xz', ['-dc', FIXTURE], { maxBuffer: 400 * MIB }),
  ];
  const volume = makeFilesystem(made, 128, [...btrfs]);
  const disk = makeDisk(
    join(folder, 'disk.img'),
    900 * MIB,
    `label: gpt\n${PLACES.map(({ mib }) => `size=${mib}MiB`).join('\n')}\nsize=140MiB\n`,
  );
  PLACES.forEach(({ offset }, index) => patch(disk, offset * MIB, filesystems[index]!));
  const pieces = [
    [70, 60],
    [0, 68],
  ] as const;
  const start = PLACES.at(-1)!.offset + PLACES.at(-1)!.mib;
  patch(disk, start * MIB, physicalVolumeHead([{ name: 'data', pieces }], { extents: 138 }));
  patch(disk, (start + 71) * MIB, volume.subarray(0, 60 * MIB));
  patch(disk, (start + 1) * MIB, volume.subarray(60 * MIB));
  return disk;
}

/** Writes the file into the NTFS of a disk, for which no appliance is needed. */
function fillNtfs(disk: string, folder: string): void {
  const { offset, mib } = PLACES[2]!;
  const copy = join(folder, 'ntfs');
  writeFileSync(copy, peek(disk, offset * MIB, mib * MIB));
  run('ntfscp', ['-q', copy, join(folder, 'tree', 'file'), 'file']);
  patch(disk, offset * MIB, readFileSync(copy));
}

/** The SHA-256 of the file on each filesystem, by libguestfs. */
function checksums(disk: string, devices: readonly string[]): string[] {
  const commands = devices.flatMap((device) => [
    `mount-ro ${device} /`,
    'checksum sha256 /file',
    'umount-all',
  ]);
  return execFileSync('guestfish', ['--ro', '--format=raw', '-a', disk], {
    input: ['run', ...commands, ''].join('\n'),
    encoding: 'utf8',
    env: { ...process.env, LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
  })
    .split('\n')
    .filter(Boolean);
}

describe('askDrivers', () => {
  it('frees what the drivers of XFS, btrfs and NTFS do not need, also on LVM, and leaves what is dirty', async () => {
    await using folder = await scratchFolder();
    const disk = makeDisks(folder.path);
    fillNtfs(disk, folder.path);
    const before = createHash('sha256').update(readFileSync(disk)).digest('hex');
    const left = readdirSync(tmpdir());
    const survey = await askDrivers(await surveyOf(disk), { path: disk, format: 'raw' }, options);
    expect(createHash('sha256').update(readFileSync(disk)).digest('hex')).toBe(before);
    expect(
      readdirSync(tmpdir()).filter((name) => !left.includes(name) && name.includes('guestfish')),
    ).toEqual([]);
    const of = (wanted: string): unknown => survey.regions.find(({ name }) => name === wanted);
    expect(of('p4')).toMatchObject({
      freeRanges: [],
      left: 'it was not unmounted cleanly: mounting it changed it',
    });
    for (const name of ['p1', 'p2', 'p3', 'group/data']) expect(of(name)).toMatchObject({ left: undefined });
    await punchFree(disk, freeRanges(survey), options);

    const devices = ['/dev/sda1', '/dev/sda2', '/dev/sda3', '/dev/group/data'];
    const digest = createHash('sha256').update(CONTENT).digest('hex');
    expect(checksums(disk, devices)).toEqual(devices.map(() => digest));
    const part = join(folder.path, 'part');
    for (const [index, judge] of [
      ['xfs_repair', '-n'],
      ['btrfs', 'check'],
      ['ntfsfix', '-n'],
    ].entries()) {
      const { offset, mib } = PLACES[index]!;
      writeFileSync(part, peek(disk, offset * MIB, mib * MIB));
      run(judge[0]!, [judge[1]!, part]);
      // Junk is left in blocks that are part of something: of inode chunks, and where a cluster of NTFS ends.
      expect(statSync(part).size).toBe(mib * MIB);
      expect(readFileSync(part).includes(Buffer.alloc(512 * 1024, 0x5a)), judge[0]).toBe(false);
    }
  }, 300_000);

  it('says which package is missing, and leaves everything', async () => {
    await using folder = await scratchFolder();
    const disk = makeSparse(join(folder.path, 'disk.img'), 304 * MIB);
    run('mkfs.xfs', ['-q', disk]);
    vi.stubEnv('PATH', folder.path);
    try {
      const survey = await askDrivers(await surveyOf(disk), { path: disk, format: 'raw' }, options);
      expect(survey.regions).toMatchObject([
        { freeRanges: [], left: expect.stringContaining('where libguestfs-tools') as string },
      ]);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('leaves everything where the appliance does not start', async () => {
    await using folder = await scratchFolder();
    const disk = makeSparse(join(folder.path, 'disk.img'), 304 * MIB);
    run('mkfs.xfs', ['-q', disk]);
    vi.stubEnv('LIBGUESTFS_HV', '/bin/false');
    vi.stubEnv('LIBGUESTFS_BACKEND_SETTINGS', 'force_tcg');
    try {
      const survey = await askDrivers(await surveyOf(disk), { path: disk, format: 'raw' }, options);
      expect(survey.regions).toMatchObject([
        { freeRanges: [], left: expect.stringMatching(/^its driver could not be asked/) as string },
      ]);
    } finally {
      vi.unstubAllEnvs();
    }
  }, 60_000);
});

describe('surveyDisk', () => {
  it('does not take an NTFS volume for clean that is to be checked, nor one without a volume record', async () => {
    await using folder = await scratchFolder();
    const disk = makeSparse(join(folder.path, 'disk.img'), 16 * MIB);
    run('mkntfs', ['-q', '-F', disk]);
    const clean = (await surveyOf(disk)).regions;
    expect(clean).toMatchObject([{ driver: { kind: 'ntfs' } }]);
    // Anything but a check that finds nothing marks the volume.
    run('ntfsfix', [disk]);
    expect((await surveyOf(disk)).regions).toMatchObject([
      { driver: undefined, left: 'it was not unmounted cleanly' },
    ]);
    const boot = peek(disk, 0, 512);
    const table = Number(boot.readBigUInt64LE(48)) * boot.readUInt16LE(11) * boot.readUInt8(13);
    patch(disk, table + 3 * 1024, Buffer.from('BAAD'));
    expect((await surveyOf(disk)).regions).toMatchObject([
      { driver: undefined, left: 'NTFS: it has no volume record' },
    ]);
  });

  it('does not take btrfs for clean that has a log', async () => {
    await using folder = await scratchFolder();
    const disk = makeSparse(join(folder.path, 'disk.img'), 128 * MIB);
    run('mkfs.btrfs', ['-q', disk]);
    expect((await surveyOf(disk)).regions).toMatchObject([{ driver: { kind: 'btrfs' } }]);
    patch(disk, 65536 + 0x60, Buffer.from([1]));
    expect((await surveyOf(disk)).regions).toMatchObject([
      { driver: undefined, left: 'it was not unmounted cleanly' },
    ]);
  });
});
