import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileSource } from '../../src/io/file-source.js';
import { silentProgress } from '../../src/progress.js';
import { formatResizePlan } from '../../src/resize/format-plan.js';
import { growFilesystems } from '../../src/resize/grow-filesystem.js';
import { readVolumeGroup } from '../../src/probe/lvm.js';
import { type ResizePlan, planResize } from '../../src/resize/plan-resize.js';
import { readPartitionTable } from '../../src/resize/partition-table.js';
import { probeContent } from '../../src/probe/probe-content.js';
import { MIB, applyPlan, makeDisk, makeSparse, run } from '../helpers/disk.js';

let folder: string;
let disk: string;
let grown: string;

/** Runs guestfish commands on the disk; the appliance boots without KVM, so each call takes about 15 seconds. */
function guestfish(path: string, ...commands: string[][]): void {
  process.env['LIBGUESTFS_BACKEND'] = 'direct';
  process.env['LIBGUESTFS_BACKEND_SETTINGS'] = 'force_tcg';
  const words = [['add-drive', path, 'format:raw', 'cachemode:unsafe'], ['run'], ...commands];
  run(
    'guestfish',
    words.flatMap((command, index) => (index === 0 ? command : [':', ...command])),
  );
}

/** Puts a filesystem of `size` bytes, made by `make` in a file, at `offset` of the disk. */
function place(offset: number, size: number, make: (file: string) => void): void {
  const file = makeSparse(join(folder, 'part'), size);
  make(file);
  run('dd', [
    `if=${file}`,
    `of=${disk}`,
    'bs=1M',
    `seek=${offset / MIB}`,
    'conv=sparse,notrunc',
    'status=none',
  ]);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-guestfish-test-'));
  disk = join(folder, 'disk.img');
  grown = join(folder, 'grown.img');
  const mib = (count: number): number => (count * MIB) / 512;
  const parts = [
    [1, 1, 400],
    [2, 401, 300],
    [3, 701, 40],
    [4, 741, 100],
  ].map(([number, start, size]) => `${number!} : start=${mib(start!)}, size=${mib(size!)}, type=L`);
  makeDisk(disk, 842 * MIB, `label: gpt\n${parts.join('\n')}\n`);
  place(MIB, 320 * MIB, (file) => run('mkfs.xfs', ['-q', '-L', 'data', file]));
  place(401 * MIB, 128 * MIB, (file) => run('mkfs.btrfs', ['-q', '-L', 'pool', file]));
  place(701 * MIB, 20 * MIB, (file) =>
    run('mkntfs', ['-q', '-F', '-Q', '-s', '512', '-p', '1435648', file, '40960']),
  );
  guestfish(
    disk,
    ['pvcreate', '/dev/sda4'],
    ['vgcreate', 'vg-0', '/dev/sda4'],
    ['lvcreate', 'swap', 'vg-0', '8'],
    ['lvcreate', 'root', 'vg-0', '40'],
    ['mkfs', 'ext4', '/dev/vg-0/root', 'label:root'],
    ['mount', '/dev/vg-0/root', '/'],
    ['write', '/file', 'content'],
    ['umount', '/'],
  );
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What sessions keep in the temporary folder while they run. */
function sessionFolders(): string[] {
  return readdirSync(tmpdir()).filter(
    (name) => name.startsWith('tsbuilder-guestfish-') && !name.includes('test'),
  );
}

async function plan(lvexpand?: string): Promise<ResizePlan> {
  await using source = await openFileSource(disk);
  return await planResize({ source, targetSize: 1042 * MIB, lvexpand });
}

describe('LVM metadata written by lvm', () => {
  it('is read with its volumes and where they begin', async () => {
    await using source = await openFileSource(disk);
    const table = (await readPartitionTable(source))!;
    const group = (await readVolumeGroup(source, table.partitions[3]!))!;
    expect(group.name).toBe('vg-0');
    expect(group.volumes.map(({ name, size }) => [name, size])).toEqual([
      ['swap', 8 * MIB],
      ['root', 40 * MIB],
    ]);
    const { start, size } = group.volumes[1]!;
    expect(await probeContent(source, { offset: start!, length: size })).toMatchObject({
      name: 'ext4',
      label: 'root',
      size: 40 * MIB,
    });
  });

  it('decides which volume grows', async () => {
    const whole = await plan('/dev/vg-0/root');
    expect(whole.grow).toMatchObject([
      { partition: 4, content: 'lvm-pv', volume: { device: '/dev/vg-0/root', content: 'ext' } },
    ]);
    expect((await plan('/dev/mapper/vg--0-root')).grow).toEqual(whole.grow);
    expect(formatResizePlan(whole)).toContain('/dev/vg-0/root  ext4  gets the new space');
    await expect(plan('/dev/vg-0/home')).rejects.toMatchObject({
      code: 'TSB_PARTITION_NOT_FOUND',
      hint: 'The disk has /dev/vg-0/swap, /dev/vg-0/root.',
    });
    await expect(plan('/dev/other/root')).rejects.toMatchObject({ code: 'TSB_PARTITION_NOT_FOUND' });
    await expect(plan('/dev/vg-0/swap')).rejects.toMatchObject({ code: 'TSB_FILESYSTEM' });
    await expect(plan('--help')).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect((await plan()).notes).toEqual([
      'No logical volume is grown: the new space stays free in volume group vg-0.',
    ]);
  });
});

describe('growFilesystems with guestfish', () => {
  it('grows XFS, btrfs, NTFS and LVM in one session', async () => {
    const before = sessionFolders();
    const resize = await plan('/dev/vg-0/root');
    await using source = await openFileSource(disk);
    const table = (await readPartitionTable(source))!;
    const inside = await Promise.all(
      table.partitions.slice(0, 3).map(async (partition) => {
        const { kind, name, size } = await probeContent(source, partition);
        const content = kind as ResizePlan['grow'][number]['content'];
        return {
          partition: partition.number,
          offset: partition.offset,
          length: partition.length,
          content,
          name,
          oldSize: size!,
        };
      }),
    );
    expect(inside.map(({ content }) => content)).toEqual(['xfs', 'btrfs', 'ntfs']);
    applyPlan(resize, disk, grown);
    const results = await growFilesystems({ ...resize, grow: [...inside, ...resize.grow] }, grown, {
      progress: silentProgress,
    });
    expect(results.map(({ name, newSize }) => [name, Math.round(newSize / MIB)])).toEqual([
      ['xfs', 400],
      ['btrfs', 300],
      ['ntfs', 40],
      // LVM does not count what lies in front of its first extent.
      ['LVM2_member', 299],
    ]);
    await using after = await openFileSource(grown);
    const group = (await readVolumeGroup(after, resize.grow[0]!))!;
    const root = group.volumes.find(({ name }) => name === 'root')!;
    const ext = await probeContent(after, { offset: root.start!, length: root.size });
    expect(root.size).toBeGreaterThan(280 * MIB);
    expect(ext.size).toBe(root.size);
    run('e2fsck', ['-fn', `${grown}?offset=${root.start!}`]);
    expect(run('debugfs', ['-R', 'cat /file', `${grown}?offset=${root.start!}`])).toBe('content');
    expect(sessionFolders().filter((name) => !before.includes(name))).toEqual([]);
  }, 240_000);
});
