import { describe, expect, it } from 'vitest';
import { findDevice, readDeviceTable } from '../../src/guest/find-device.js';
import { listVolumes } from '../../src/guest/volume.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { MIB } from '../helpers/disk.js';
import { type VolumeSpec, physicalVolumeHead } from '../helpers/physical-volume.js';

const EXTENTS = 8;
const LENGTH = (EXTENTS + 1) * MIB;

describe('a volume group on two partitions', () => {
  const volumes: VolumeSpec[] = [
    { name: 'root', pieces: [[0, 3]] },
    { name: 'var', on: 1, pieces: [[2, 3]] },
    {
      name: 'data',
      pieces: [
        [4, 1],
        [6, 1],
      ],
    },
  ];
  const heads = [0, 1].map((number) =>
    physicalVolumeHead(volumes, { extents: EXTENTS, physicalVolumes: 2, number }),
  );
  const partitions = [0, 1].map((index) => ({ number: index + 1, offset: index * LENGTH, length: LENGTH }));
  const disk = bytesSource(
    'disk',
    Buffer.concat(heads.flatMap((head) => [head, Buffer.alloc(EXTENTS * MIB)])),
  );

  it('has each of its volumes once, from the partition that it is on', async () => {
    const found = await listVolumes(disk, partitions);
    expect(found.map(({ id, partition, range }) => [id, partition.number, range])).toEqual([
      ['group/root', 1, { offset: MIB, length: 3 * MIB }],
      ['group/data', 1, undefined],
      ['group/var', 2, { offset: LENGTH + 3 * MIB, length: 3 * MIB }],
    ]);
  });

  it('has volumes that fstab can name', async () => {
    const table = await readDeviceTable(disk, await listVolumes(disk, partitions));
    expect(findDevice(table, '/dev/group/var')?.id).toBe('group/var');
    expect(findDevice(table, '/dev/mapper/group-root')?.id).toBe('group/root');
  });
});
