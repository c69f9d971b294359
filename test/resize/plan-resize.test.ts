import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import { parsePartitionName } from '../../src/resize/choose-partition.js';
import { chsOf } from '../../src/resize/chs.js';
import { formatResizePlan, summarizeResizePlan } from '../../src/resize/format-plan.js';
import { mapRange, planResize } from '../../src/resize/plan-resize.js';
import { MIB } from '../helpers/disk.js';
import { fakeExt, gptDisk } from '../helpers/disk-bytes.js';

const RECIPE = { sectorSize: 512, entrySize: 128, entryCount: 128 };

/** An 8 MiB GPT disk: partition 1 from 1 to 2 MiB, partition 2 from 3 to 4 MiB; `fill` puts content in. */
function disk(fill: (disk: Buffer) => void): ByteSource {
  const data = gptDisk(RECIPE);
  fill(data);
  return bytesSource('template', data);
}
const extAt =
  (...places: number[]) =>
  (data: Buffer): void =>
    places.forEach((place) => fakeExt(MIB).copy(data, place + 1024));

function mbrDisk(type: number): ByteSource {
  const data = Buffer.alloc(8 * MIB);
  data.writeUInt8(type, 450);
  data.writeUInt32LE(2048, 454);
  data.writeUInt32LE(2048, 458);
  data.writeUInt16LE(0xaa55, 510);
  fakeExt(MIB).copy(data, MIB + 1024);
  return bytesSource('mbr', data);
}

describe('planResize', () => {
  it('reads and changes nothing for the size the disk has', async () => {
    const source: ByteSource = {
      ...bytesSource('same', Buffer.alloc(5000)),
      read: () => Promise.reject(new Error('read')),
    };
    const plan = await planResize({ source, targetSize: 5000, expand: '9' });
    expect(plan).toMatchObject({
      targetSize: 5000,
      copies: [{ from: 0, to: 0, length: 5000 }],
      literals: [],
      grow: [],
    });
    expect([...mapRange(plan, 100, 50)]).toEqual([{ from: 100, to: 100, length: 50 }]);
    expect(formatResizePlan(plan)).toBe('disk         4.9 KiB, unchanged');
  });

  it('refuses to shrink, with both sizes', async () => {
    await expect(planResize({ source: disk(extAt(MIB)), targetSize: 4 * MIB })).rejects.toMatchObject({
      code: 'TSB_TOO_SMALL',
      message: '4 MiB (4194304 bytes) is smaller than template, which has 8 MiB (8388608 bytes)',
    });
  });

  it('chooses the last partition with a filesystem, unless one is named', async () => {
    const source = disk(extAt(MIB, 3 * MIB));
    const grown = async (expand?: string): Promise<number[]> =>
      (await planResize({ source, targetSize: 16 * MIB, expand })).grow.map(({ partition }) => partition);
    expect(await grown()).toEqual([2]);
    for (const name of ['1', 'p1', '/dev/sda1', '/dev/vda1', '/dev/nvme0n1p1', 'mmcblk0p1'])
      expect(await grown(name)).toEqual([1]);
  });

  it('moves what lies behind and says so', async () => {
    const plan = await planResize({ source: disk(extAt(MIB, 3 * MIB)), targetSize: 16 * MIB, expand: '1' });
    expect(plan.changes).toEqual([
      {
        partition: 1,
        content: 'ext2',
        from: { offset: MIB, length: MIB },
        to: { offset: MIB, length: 12 * MIB },
      },
      {
        partition: 2,
        content: undefined,
        from: { offset: 3 * MIB, length: MIB },
        to: { offset: 14 * MIB, length: MIB },
      },
    ]);
    expect(formatResizePlan(plan)).toBe(
      'disk         8 MiB -> 16 MiB\npartition 1  ext2  1 MiB -> 12 MiB\npartition 2  moved from 3 MiB to 14 MiB',
    );
    expect(plan.copies).toEqual([
      { from: 17408, to: 17408, length: 2 * MIB - 17408 },
      { from: 2 * MIB, to: 13 * MIB, length: 3 * MIB - 33 * 512 },
    ]);
    expect(JSON.stringify(summarizeResizePlan(plan)).length).toBeLessThan(2000);
  });

  it('says when the disk grows by too little for a partition', async () => {
    const data = gptDisk({ ...RECIPE, spans: [[2048, 16350]] });
    extAt(MIB)(data);
    const plan = await planResize({ source: bytesSource('full', data), targetSize: 8 * MIB + 512 });
    expect(plan.grow).toEqual([]);
    expect(plan.notes).toEqual([
      'The disk grows by 512 B: not enough for a partition to grow by a whole MiB.',
    ]);
    expect(plan.literals).toHaveLength(5);
  });

  it.each<[string, string | undefined, (data: Buffer) => void, object]>([
    [
      'a disk without a growable filesystem',
      undefined,
      (data) => data.write('LUKS\xba\xbe', 3 * MIB, 'latin1'),
      {
        code: 'TSB_PARTITION_NOT_FOUND',
        message:
          'template: no partition has a filesystem that can be grown (partition 1: unknown, partition 2: crypto_LUKS)',
      },
    ],
    [
      'to grow LUKS',
      '2',
      (data) => data.write('LUKS\xba\xbe', 3 * MIB, 'latin1'),
      { code: 'TSB_FILESYSTEM', message: 'template: partition 2 holds crypto_LUKS, which cannot be grown' },
    ],
    [
      'to grow what nobody knows',
      '/dev/sda1',
      extAt(3 * MIB),
      {
        code: 'TSB_FILESYSTEM',
        message: 'template: partition 1 holds nothing that is known, which cannot be grown',
      },
    ],
    [
      'a partition that is not there',
      '/dev/sda5',
      extAt(MIB),
      {
        code: 'TSB_PARTITION_NOT_FOUND',
        message: 'template: there is no partition "/dev/sda5"',
        hint: 'The disk has partitions 1, 2.',
      },
    ],
    [
      'a name that is none',
      '/dev/vg/root',
      extAt(MIB),
      { code: 'TSB_USAGE', message: '"/dev/vg/root" does not name a partition' },
    ],
    [
      'a filesystem larger than its partition',
      '1',
      (data) => fakeExt(2 * MIB).copy(data, MIB + 1024),
      {
        code: 'TSB_FILESYSTEM',
        message:
          'template: the ext2 on partition 1 is 2 MiB (2097152 bytes) large, partition 1 has only 1 MiB (1048576 bytes)',
      },
    ],
  ])('refuses %s', async (_, expand, fill, error) => {
    await expect(planResize({ source: disk(fill), targetSize: 16 * MIB, expand })).rejects.toMatchObject(
      error,
    );
  });

  it('refuses a disk without a table and without a filesystem', async () => {
    const empty = bytesSource('empty', Buffer.alloc(MIB));
    await expect(planResize({ source: empty, targetSize: 2 * MIB })).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: 'empty: the disk holds nothing that is known, which cannot be grown',
    });
    const data = Buffer.alloc(MIB);
    extAt(0)(data);
    await expect(
      planResize({ source: bytesSource('whole', data), targetSize: 2 * MIB, expand: '/dev/sda1' }),
    ).rejects.toMatchObject({ code: 'TSB_PARTITION_NOT_FOUND' });
    const whole = await planResize({
      source: bytesSource('whole', data),
      targetSize: 2 * MIB,
      expand: '/dev/sda',
    });
    expect(formatResizePlan(whole)).toBe('disk         1 MiB -> 2 MiB\nwhole disk   ext2  1 MiB -> 2 MiB');
  });

  it('grows an MBR disk to 2 TiB and no further', async () => {
    const limit = 2 ** 41;
    const source = mbrDisk(0x83);
    const plan = await planResize({ source, targetSize: limit });
    expect(plan.grow[0]!.length).toBe(limit - MIB);
    const mbr = Buffer.from(plan.literals[0]!.data);
    expect([...mbr.subarray(447, 450), ...mbr.subarray(451, 454)]).toEqual([0x20, 0x21, 0, 0xfe, 0xff, 0xff]);
    await expect(planResize({ source, targetSize: limit + 1 })).rejects.toMatchObject({
      code: 'TSB_PARTITION_TABLE',
      message: expect.stringMatching(/MBR partition table, which ends at 2 TiB/) as string,
    });
  });

  it('refuses to grow the extended partition itself', async () => {
    const data = Buffer.from(await mbrDisk(5).read(0, 8 * MIB));
    data.fill(0, MIB);
    const source = bytesSource('mbr', data);
    await expect(planResize({ source, targetSize: 16 * MIB, expand: '1' })).rejects.toMatchObject({
      code: 'TSB_FILESYSTEM',
      message: 'mbr: partition 1 is the extended partition: it grows with the logical one that is named',
    });
  });

  it('passes the signal on', async () => {
    const signal = AbortSignal.abort(new Error('stop'));
    await expect(planResize({ source: disk(extAt(MIB)), targetSize: 16 * MIB, signal })).rejects.toThrow(
      'stop',
    );
  });
});

describe('parsePartitionName', () => {
  it.each(['', '0', '-1', 'sd1x', '/dev/', '/dev/sda1p', '3; rm', '1e3', '../1', '99999999999999999999'])(
    'refuses %j',
    (text) => {
      expect(() => parsePartitionName(text)).toThrow(/does not name a partition/);
    },
  );
});

describe('chsOf', () => {
  it('counts in 255 heads and 63 sectors, and saturates', () => {
    expect([...chsOf(0)]).toEqual([0, 1, 0]);
    expect([...chsOf(2048)]).toEqual([32, 33, 0]);
    expect([...chsOf(1023 * 255 * 63 + 254 * 63 + 62)]).toEqual([254, 0xff, 0xff]);
    expect([...chsOf(1024 * 255 * 63)]).toEqual([0xfe, 0xff, 0xff]);
  });
});
