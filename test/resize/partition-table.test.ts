import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import type { GptTable } from '../../src/resize/partition.js';
import { readPartitionTable } from '../../src/resize/partition-table.js';
import { planResize } from '../../src/resize/plan-resize.js';
import {
  MIB,
  applyPlan,
  complaintsAbout,
  makeDisk,
  patch,
  readWithSfdisk,
  run,
  slurp,
} from '../helpers/disk.js';
import { type GptRecipe, fakeExt, gptDisk } from '../helpers/disk-bytes.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-table-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (data: Buffer): ReturnType<typeof readPartitionTable> =>
  readPartitionTable(bytesSource('disk', data));

function madeBySfdisk(size: number, script: string): Buffer {
  return slurp(makeDisk(join(folder, 'disk'), size, script));
}

/** A source that remembers what was read. */
function recording(data: Buffer): { source: ByteSource; reads: [number, number][] } {
  const inner = bytesSource('disk', data);
  const reads: [number, number][] = [];
  const source: ByteSource = {
    ...inner,
    read: (offset, length, signal) => {
      reads.push([offset, length]);
      return inner.read(offset, length, signal);
    },
  };
  return { source, reads };
}

async function refused(data: Buffer, message: RegExp): Promise<void> {
  await expect(read(data)).rejects.toMatchObject({
    code: 'TSB_PARTITION_TABLE',
    message: expect.stringMatching(message) as string,
  });
}

const GPT =
  'label: gpt\nlabel-id: 6E3BBB72-4C3D-4D2E-A0A6-6C2BEE2C9F10\n1 : start=2048, size=2048, type=L, name="root"\n3 : start=6144, size=2048, type=U\n';

describe('readPartitionTable of a GPT', () => {
  it('gives what sfdisk gives, from the head of the disk alone', async () => {
    const { source, reads } = recording(madeBySfdisk(8 * MIB, GPT));
    const table = (await readPartitionTable(source)) as GptTable;
    expect(reads).toEqual([[0, 32768]]);
    expect(table).toMatchObject({
      kind: 'gpt',
      sectorSize: 512,
      fromBackup: false,
      notes: [],
      diskGuid: '6E3BBB72-4C3D-4D2E-A0A6-6C2BEE2C9F10',
    });
    const expected = readWithSfdisk(join(folder, 'disk'));
    expect(table.partitions).toHaveLength(2);
    for (const partition of table.partitions) {
      const { start, size, type, uuid, name = '' } = expected.partitions.get(partition.number)!;
      expect(partition).toEqual({
        number: partition.number,
        role: 'primary',
        offset: start * 512,
        length: size * 512,
        type,
        guid: uuid,
        name,
      });
    }
  });

  it.each([
    ['primary header', 512],
    ['signature of the primary header', 512 + 3],
    ['primary entry array', 1024 + 40],
  ])('uses the backup when the %s is damaged', async (_, at) => {
    const disk = madeBySfdisk(8 * MIB, GPT);
    const good = (await read(disk))!;
    disk[at] = disk[at]! ^ 1;
    const table = (await read(disk)) as GptTable;
    expect(table.fromBackup).toBe(true);
    expect(table.partitions).toEqual(good.partitions);
    expect(table.notes).toEqual(['The primary GPT is damaged; its backup was used.']);
  });

  it('does not mind a damaged backup', async () => {
    const disk = madeBySfdisk(8 * MIB, GPT);
    disk.fill(0xff, disk.length - 33 * 512);
    expect((await read(disk))!.partitions).toHaveLength(2);
  });

  it('finds the backup of a disk that was enlarged', async () => {
    const disk = Buffer.concat([madeBySfdisk(8 * MIB, GPT), Buffer.alloc(MIB)]);
    disk.fill(0, 512, 1024);
    expect(await read(disk)).toMatchObject({ fromBackup: true });
  });

  it('gives up when both are damaged', async () => {
    const disk = madeBySfdisk(8 * MIB, GPT);
    disk[600] = disk[600]! ^ 1;
    disk[disk.length - 512 + 20] = disk[disk.length - 512 + 20]! ^ 1;
    await refused(disk, /the GPT and its backup are both damaged \(primary header: wrong CRC\)/);
    disk.fill(0, 512, 1024);
    disk.fill(0, disk.length - 512);
    await refused(disk, /no header found/);
  });

  it('repairs both copies from either one, and the protective MBR, when the disk grows', async () => {
    for (const damage of [
      [512, 1024],
      [0, 512],
      [8 * MIB - 512, 8 * MIB],
    ] as const) {
      const path = makeDisk(join(folder, 'hurt'), 8 * MIB, GPT);
      patch(path, MIB + 1024, fakeExt(MIB));
      patch(path, damage[0], Buffer.alloc(damage[1] - damage[0]));
      const plan = await planResize({
        source: bytesSource('hurt', slurp(path)),
        targetSize: 20 * MIB,
        expand: '1',
      });
      applyPlan(plan, path, join(folder, 'healed'));
      expect(complaintsAbout(join(folder, 'healed'), 'gpt')).toEqual([]);
      expect(readWithSfdisk(join(folder, 'healed')).partitions.get(1)).toMatchObject({
        start: 2048,
        name: 'root',
      });
    }
  });

  it.each<[string, GptRecipe]>([
    ['256-byte entries', { sectorSize: 512, entrySize: 256, entryCount: 128 }],
    ['4 entries', { sectorSize: 512, entrySize: 128, entryCount: 4 }],
    [
      '512 entries of 128 bytes with 4096-byte sectors',
      { sectorSize: 4096, entrySize: 128, entryCount: 512 },
    ],
    ['entries that do not fill a sector', { sectorSize: 4096, entrySize: 136, entryCount: 33 }],
  ])('keeps %s', async (_, recipe) => {
    const disk = gptDisk(recipe);
    fakeExt(MIB).copy(disk, MIB + 1024);
    const source = bytesSource('disk', disk);
    const before = (await readPartitionTable(source)) as GptTable;
    const plan = await planResize({ source, targetSize: 16 * MIB });
    const after = Buffer.alloc(plan.targetSize);
    for (const { from, to, length } of plan.copies) disk.copy(after, to, from, from + length);
    for (const { offset, data } of plan.literals) after.set(data, offset);
    const fromPrimary = (await read(after)) as GptTable;
    expect(fromPrimary).toMatchObject({
      fromBackup: false,
      entrySize: recipe.entrySize,
      sectorSize: recipe.sectorSize,
    });
    expect(fromPrimary.partitions.map(({ number, guid, name }) => [number, guid, name])).toEqual(
      before.partitions.map(({ number, guid, name }) => [number, guid, name]),
    );
    after[recipe.sectorSize + 20] = after[recipe.sectorSize + 20]! ^ 1;
    const fromBackup = (await read(after)) as GptTable;
    expect(fromBackup.fromBackup).toBe(true);
    expect(fromBackup.partitions).toEqual(fromPrimary.partitions);
  });

  it.each<[string, Partial<GptRecipe>, RegExp]>([
    [
      'overlap',
      {
        spans: [
          [2048, 4095],
          [4000, 5000],
        ],
      },
      /partitions 1 \(bytes 1048576-2097151\) and 2 \(bytes 2048000-2560511\) overlap/,
    ],
    [
      'lie beyond the disk',
      { spans: [[2048, 999_999]] },
      /partition 1 \(bytes 1048576-511999999\) is outside the usable part of the disk/,
    ],
    [
      'lie inside the GPT',
      { spans: [[10, 4095]] },
      /partition 1 \(bytes 5120-2097151\) is outside the usable part/,
    ],
    ['end before they begin', { spans: [[4095, 2048]] }, /partition 1 has sectors 4095 to 2048/],
    [
      'have numbers beyond all sense',
      { spans: [[2n ** 63n, 2n ** 63n + 5n]] },
      /partition 1 has sectors Infinity to Infinity/,
    ],
  ])('refuses partitions that %s', async (_, change, message) => {
    await refused(gptDisk({ sectorSize: 512, entrySize: 128, entryCount: 128, ...change }), message);
  });

  it('refuses to allocate what a header asks for', async () => {
    const disk = gptDisk({ sectorSize: 512, entrySize: 128, entryCount: 128, claimedCount: 0xffffffff });
    await refused(disk, /both damaged \(primary header: 4294967295 entries of 128 bytes\)/);
  });

  it('leaves a disk alone that was given an MBR later', async () => {
    const disk = madeBySfdisk(8 * MIB, GPT);
    disk[450] = 0x83;
    expect(await read(disk)).toMatchObject({ kind: 'mbr' });
  });

  it('moves the entries of a hybrid MBR with their partitions', async () => {
    const path = makeDisk(join(folder, 'hybrid'), 16 * MIB, `${GPT}4 : start=8192, size=2048, type=L\n`);
    run('sgdisk', ['-h', '1:3', path]);
    patch(path, MIB + 1024, fakeExt(MIB));
    const source = bytesSource('hybrid', slurp(path));
    const plan = await planResize({ source, targetSize: 32 * MIB, expand: '1' });
    expect(plan.notes).toEqual(['The disk has a hybrid MBR: its entries follow the partitions that move.']);
    const after = join(folder, 'hybrid-after');
    applyPlan(plan, path, after);
    expect(complaintsAbout(after, 'gpt')).toEqual([]);
    const mbr = slurp(after).subarray(446, 510);
    const gpt = readWithSfdisk(after).partitions;
    const entries = [0, 16, 32].map((at) => [
      mbr[at + 4],
      mbr.readUInt32LE(at + 8),
      mbr.readUInt32LE(at + 12),
    ]);
    expect(entries.slice(1)).toEqual(
      [1, 3].map((number) => [number === 1 ? 0x83 : 0xef, gpt.get(number)!.start, gpt.get(number)!.size]),
    );
    expect(entries[0]).toEqual([0xee, 1, 2047]);
  });
});

const MBR =
  'label: dos\n1 : start=2048, size=2048, type=83\n2 : start=4096, size=12288, type=5\n5 : start=6144, size=2048, type=83\n6 : start=10240, size=2048, type=82\n3 : start=16384, size=2048, type=c\n';

describe('readPartitionTable of an MBR', () => {
  it('gives what sfdisk gives', async () => {
    const table = (await read(madeBySfdisk(10 * MIB, MBR)))!;
    const expected = readWithSfdisk(join(folder, 'disk'));
    expect(table.partitions.map(({ number }) => number)).toEqual([1, 2, 3, 5, 6]);
    for (const { number, offset, length, type } of table.partitions) {
      const { start, size, type: id } = expected.partitions.get(number)!;
      expect({ offset, length, type: Number(type) }).toEqual({
        offset: start * 512,
        length: size * 512,
        type: parseInt(id, 16),
      });
    }
  });

  const EBR = 4096 * 512;
  it.each<[string, (disk: Buffer) => void, RegExp]>([
    [
      'loops',
      (disk) => disk.writeUInt32LE(0, EBR + 470),
      /the chain of logical partitions loops at byte 2097152/,
    ],
    [
      'leaves the extended partition',
      (disk) => disk.writeUInt32LE(99999, EBR + 470),
      /an extended boot record at byte 53296640 is outside the extended partition 2/,
    ],
    [
      'leads to no boot record',
      (disk) => disk.writeUInt32LE(3000, EBR + 470),
      /the extended boot record at byte 3633152 has no boot signature/,
    ],
    [
      'has two partitions in a record',
      (disk) => disk.writeUInt8(0x83, EBR + 466),
      /not one partition and one link/,
    ],
    [
      'has a logical partition outside',
      (disk) => disk.writeUInt32LE(90000, EBR + 458),
      /partition 5 .* is outside the extended partition 2/,
    ],
    [
      'has logical partitions that overlap',
      (disk) => disk.writeUInt32LE(4200, EBR + 458),
      /partitions 5 .* and 6 .* overlap/,
    ],
    [
      'has a record inside a partition',
      (disk) => disk.writeUInt32LE(disk.readUInt32LE(EBR + 470) + 1 - 2048, EBR + 458),
      /boot record at byte \d+ is inside logical partition 5/,
    ],
    [
      'has primaries that overlap',
      (disk) => disk.writeUInt32LE(4000, 458),
      /partitions 1 .* and 2 .* overlap/,
    ],
    [
      'has a primary beyond the disk',
      (disk) => disk.writeUInt32LE(99999, 490),
      /partition 3 .* is outside the usable part/,
    ],
    [
      'has two extended partitions',
      (disk) => disk.writeUInt8(0xf, 450),
      /partitions 1 and 2 are both extended/,
    ],
    [
      'has a partition over the MBR',
      (disk) => disk.writeUInt32LE(0, 454),
      /partition 1 \(bytes 0-1048575\) is outside/,
    ],
  ])('refuses a table that %s', async (_, damage, message) => {
    const disk = madeBySfdisk(10 * MIB, MBR);
    damage(disk);
    await refused(disk, message);
  });

  it('takes an extended partition without a record for an empty one', async () => {
    const disk = madeBySfdisk(10 * MIB, MBR);
    disk.fill(0, EBR, EBR + 512);
    expect((await read(disk))!.partitions.map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it('finds 4096-byte sectors by what the partitions hold', async () => {
    const disk = Buffer.alloc(16 * MIB);
    disk.writeUInt16LE(0xaa55, 510);
    disk.writeUInt8(0x83, 450);
    disk.writeUInt32LE(256, 454);
    disk.writeUInt32LE(1024, 458);
    fakeExt(4 * MIB).copy(disk, MIB + 1024);
    expect(await read(disk)).toMatchObject({
      sectorSize: 4096,
      partitions: [{ offset: MIB, length: 4 * MIB }],
    });
    const forced = await readPartitionTable(bytesSource('disk', disk), { sectorSize: 512 });
    expect(forced).toMatchObject({ sectorSize: 512, partitions: [{ offset: 256 * 512 }] });
  });
});

describe('readPartitionTable of other disks', () => {
  it('finds none on empty, tiny and random ones', async () => {
    for (const size of [0, 1, 511, 512, 1023, 4096, MIB])
      expect(await read(Buffer.alloc(size))).toBeUndefined();
    expect(await read(Buffer.alloc(MIB, 0xa5))).toBeUndefined();
  });

  it.each(['ext4', 'vfat', 'ntfs', 'xfs'])('takes no %s for a table', async (type) => {
    const path = join(folder, `whole-${type}`);
    run('truncate', ['-s', type === 'xfs' ? '300M' : '40M', path]);
    run(`mkfs.${type}`, [...(type === 'ntfs' ? ['-F', '-Q'] : []), path]);
    const data = slurp(path).subarray(0, 40 * MIB);
    expect(await read(data)).toBeUndefined();
  });

  it('answers or throws its own error for any change to a good disk', async () => {
    const disks = [madeBySfdisk(8 * MIB, GPT), madeBySfdisk(10 * MIB, MBR)].map((disk) =>
      disk.subarray(0, 5 * MIB),
    );
    const near = fc.oneof(
      fc.integer({ min: 440, max: 1200 }),
      fc.integer({ min: EBR_START, max: EBR_START + 511 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...disks),
        fc.array(fc.tuple(near, fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.nat(2_000_000),
        async (disk, changes, cut) => {
          const copy = Buffer.from(disk.subarray(0, disk.length - (cut % 3 ? 0 : cut)));
          for (const [at, value] of changes) copy[at] = value;
          const outcome = await read(copy).catch((error: unknown) => error);
          const fine =
            outcome === undefined || outcome instanceof TsbuilderError || !(outcome instanceof Error);
          expect(fine, String(outcome)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});

const EBR_START = 4096 * 512;
