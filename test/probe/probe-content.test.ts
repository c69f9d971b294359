import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { openFileSource } from '../../src/io/file-source.js';
import { parseLvmText, subsection } from '../../src/probe/lvm-text.js';
import { readVolumeGroup } from '../../src/probe/lvm.js';
import { probeContent } from '../../src/probe/probe-content.js';
import { MIB, makeSparse, run } from '../helpers/disk.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-probe-'));
  mkdirSync(join(folder, 'tree'));
  writeFileSync(join(folder, 'tree', 'file'), 'content');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What blkid, which knows them all, says about a file. */
function blkid(path: string): Record<string, string> {
  const lines = run('blkid', ['-p', '-o', 'export', path]).split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
}

const MIB_40 = 40 * MIB;

describe('probeContent', () => {
  it.each<[string, number, (file: string) => string[], number | undefined]>([
    ['ext2', MIB_40, (file) => ['mke2fs', '-q', '-t', 'ext2', '-L', 'my label', file], MIB_40],
    ['ext3', MIB_40, (file) => ['mke2fs', '-q', '-t', 'ext3', file], MIB_40],
    [
      'ext4',
      MIB_40,
      (file) => ['mke2fs', '-q', '-t', 'ext4', '-O', '64bit', '-L', 'sixteen letters!', file],
      MIB_40,
    ],
    ['xfs', 300 * MIB, (file) => ['mkfs.xfs', '-q', '-L', 'data', file], 300 * MIB],
    ['btrfs', 120 * MIB, (file) => ['mkfs.btrfs', '-q', '-L', 'pool', file], 120 * MIB],
    ['ntfs', MIB_40, (file) => ['mkntfs', '-q', '-F', '-Q', file], MIB_40 - 512],
    ['vfat', MIB_40, (file) => ['mkfs.vfat', '-n', 'ESP', file], MIB_40],
    ['vfat', MIB_40, (file) => ['mkfs.vfat', file], MIB_40],
    ['vfat', 80 * MIB, (file) => ['mkfs.vfat', '-F', '32', '-n', 'ESP32', file], 80 * MIB],
    ['swap', MIB_40, (file) => ['mkswap', '-L', 'swap', file], MIB_40],
    ['swap', MIB_40, (file) => ['mkswap', '-p', '65536', file], MIB_40],
    [
      'crypto_LUKS',
      MIB_40,
      (file) => ['cryptsetup', 'luksFormat', '-q', '--pbkdf-force-iterations=1000', '--pbkdf=pbkdf2', file],
      undefined,
    ],
    ['squashfs', 0, (file) => ['mksquashfs', join(folder, 'tree'), file, '-noappend', '-quiet'], undefined],
  ])('knows %s (%d bytes) as blkid does', async (name, size, command, expected) => {
    const file = makeSparse(join(folder, 'image'), size);
    const [tool, ...args] = command(file);
    // To a program that reads nothing, nothing is written: it may have ended by then.
    run(tool!, args, tool === 'cryptsetup' ? 'passphrase\n' : '');
    await using source = await openFileSource(file);
    const content = await probeContent(source, { offset: 0, length: source.size });
    const told = blkid(file);
    expect(content.name).toBe(name);
    expect(told['TYPE']).toBe(name);
    expect(content.uuid ?? '').toBe(told['UUID'] ?? '');
    if (name !== 'ntfs') expect(content.label ?? '').toBe((told['LABEL'] ?? '').replace(/\\ /g, ' '));
    if (expected !== undefined) expect(content.size).toBe(expected);
  });

  it('knows an ISO image by its descriptor', async () => {
    const disk = Buffer.alloc(64 * 1024);
    disk.write('\x01CD001\x01', 32768, 'latin1');
    disk.write('DEBIAN 12'.padEnd(32), 32808);
    disk.writeUInt32LE(32, 32848);
    expect(await probeContent(bytesSource('iso', disk), { offset: 0, length: disk.length })).toMatchObject({
      name: 'iso9660',
      label: 'DEBIAN 12',
      size: 65536,
    });
  });

  it('knows the free space of ext4', async () => {
    const file = makeSparse(join(folder, 'free'), MIB_40);
    run('mke2fs', ['-q', '-t', 'ext4', file]);
    await using source = await openFileSource(file);
    const { freeBytes } = await probeContent(source, { offset: 0, length: MIB_40 });
    const info = run('dumpe2fs', ['-h', file]);
    expect(freeBytes).toBe(
      Number(/Free blocks:\s+(\d+)/.exec(info)![1]) * Number(/Block size:\s+(\d+)/.exec(info)![1]),
    );
  });

  it('stays inside the partition, and finds nothing in noise', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(80_000),
        fc.nat(100_000),
        fc.uint8Array({ maxLength: 16 }),
        async (offset, length, bytes) => {
          const disk = Buffer.alloc(offset + length, bytes.length > 0 ? bytes : 0);
          const content = await probeContent(bytesSource('noise', disk), { offset, length });
          expect(content).toEqual({ kind: 'unknown', name: 'unknown' });
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('parseLvmText', () => {
  it('reads sections, numbers, strings, lists and comments', () => {
    const text =
      '# comment\nvg0 { id = "a\\"b" seqno = 3 flags = [] stripes = ["pv0", 0] # more\n inner { x = -1 } }\nversion = 1\n\0';
    const root = parseLvmText(text);
    expect(root.get('version')).toBe(1);
    const group = subsection(root, 'vg0');
    expect([group.get('id'), group.get('seqno'), group.get('flags'), group.get('stripes')]).toEqual([
      'a"b',
      3,
      [],
      ['pv0', 0],
    ]);
    expect(subsection(group, 'inner').get('x')).toBe(-1);
    expect(subsection(group, 'missing').size).toBe(0);
  });

  it.each([
    'a',
    'a {',
    'a = ',
    'a = [1',
    'a = }',
    '{ }',
    'a { } }',
    'a = "x',
    'a = [ ; ]',
    'a { '.repeat(100),
  ])('refuses %j', (text) => {
    expect(() => parseLvmText(text)).toThrow(expect.objectContaining({ code: 'TSB_FILESYSTEM' }) as Error);
  });
});

describe('readVolumeGroup', () => {
  /** A physical volume as pvcreate alone leaves it, with `change` made. */
  function physicalVolume(change: (disk: Buffer) => void): Buffer {
    const disk = Buffer.alloc(MIB);
    disk.write('LABELONE', 512);
    disk.writeUInt32LE(32, 532);
    disk.write('LVM2 001', 536);
    disk.write('a'.repeat(32), 544);
    disk.writeBigUInt64LE(BigInt(MIB), 576);
    disk.writeBigUInt64LE(BigInt(MIB), 584);
    disk.writeBigUInt64LE(4096n, 616);
    disk.writeBigUInt64LE(65536n, 624);
    disk.write(' LVM2 x[5A%r0N*>', 4100, 'latin1');
    change(disk);
    return disk;
  }
  const read = (disk: Buffer): ReturnType<typeof readVolumeGroup> =>
    readVolumeGroup(bytesSource('pv', disk), { offset: 0, length: disk.length });

  it('finds none in a physical volume that belongs to none', async () => {
    expect(await read(physicalVolume(() => undefined))).toBeUndefined();
    expect(await read(physicalVolume((disk) => disk.writeBigUInt64LE(0n, 616)))).toBeUndefined();
  });

  it.each<[string, (disk: Buffer) => void, RegExp]>([
    ['no magic', (disk) => disk.fill(0, 4100, 4116), /no metadata area/],
    ['an area outside', (disk) => disk.writeBigUInt64LE(2n ** 62n, 616), /outside the physical volume/],
    [
      'too much text',
      (disk) =>
        [
          [512n, 4136],
          [2n ** 40n, 4144],
        ].forEach(([value, at]) => disk.writeBigUInt64LE(value as bigint, at as number)),
      /1099511627776 bytes of text/,
    ],
    [
      'a wrong CRC',
      (disk) =>
        [
          [512n, 4136],
          [100n, 4144],
        ].forEach(([value, at]) => disk.writeBigUInt64LE(value as bigint, at as number)),
      /wrong CRC/,
    ],
  ])('refuses %s', async (_, change, message) => {
    await expect(read(physicalVolume(change))).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: expect.stringMatching(message) as string,
    });
  });
});
