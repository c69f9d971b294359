import { describe, expect, it } from 'vitest';
import { findDevice } from '../../src/guest/find-device.js';
import { parseFstab } from '../../src/guest/fstab.js';
import { planMounts } from '../../src/guest/mounted/plan-mounts.js';
import type { GuestVolume } from '../../src/guest/volume.js';

function volume(
  id: string,
  facts: { uuid?: string; label?: string; guid?: string; name?: string; kind?: 'ext' | 'fat' } = {},
): GuestVolume {
  const [group, lv] = id.split('/');
  const number = lv === undefined ? Number(id) : 9;
  const { uuid, label, guid, name, kind = 'ext' } = facts;
  return {
    label: lv === undefined ? `partition ${id}` : `LVM volume ${id}`,
    id,
    partition: { number, offset: number * 100, length: 50, guid, name },
    lvm: lv === undefined ? undefined : { group: group ?? '', volume: lv },
    size: 50,
    range: { offset: number * 100 + (lv === undefined ? 0 : lv.length), length: 50 },
    content: { kind, name: kind === 'ext' ? 'ext4' : 'vfat', uuid, label },
  };
}

const VOLUMES = [
  volume('1', {
    uuid: 'AAAA-BBBB',
    label: 'EFI',
    kind: 'fat',
    guid: '0FC63DAF-0000-4772-8E79-3D69D8477DE4',
    name: 'EFI System',
  }),
  volume('2', { uuid: '6f5a-11', label: 'cloud img-rootfs' }),
  volume('12', { uuid: 'two', label: 'same' }),
  volume('3', { uuid: 'three', label: 'same' }),
  volume('my-vg/my-root'),
];
const TABLE = { volumes: VOLUMES, mbrId: '0a0b0c0d' };

describe('findDevice', () => {
  it.each([
    ['UUID=aaaa-bbbb', '1'],
    ['UUID="6F5A-11"', '2'],
    ['LABEL=EFI', '1'],
    ["LABEL='cloud img-rootfs'", '2'],
    ['LABEL=efi', undefined],
    ['LABEL=same', undefined],
    ['LABEL=', undefined],
    ['UUID=', undefined],
    ['PARTUUID=0fc63daf-0000-4772-8e79-3d69d8477de4', '1'],
    ['PARTUUID=0A0B0C0D-0c', '12'],
    ['PARTUUID=0a0b0c0d-02', '2'],
    ['PARTUUID=ffffffff-02', undefined],
    ['PARTLABEL=EFI System', '1'],
    ['/dev/disk/by-uuid/AAAA-BBBB', '1'],
    ['/dev/disk/by-label/cloud\\x20img-rootfs', '2'],
    ['/dev/disk/by-partuuid/0a0b0c0d-03', '3'],
    ['/dev/disk/by-id/ata-QEMU_HARDDISK-part2', '2'],
    ['/dev/disk/by-path/pci-0000:00:04.0-part12', '12'],
    ['/dev/sda1', '1'],
    ['/dev/hda2', '2'],
    ['/dev/vda12', '12'],
    ['/dev/xvda3', '3'],
    ['/dev/nvme0n1p2', '2'],
    ['/dev/mmcblk0p1', '1'],
    ['/dev/sdb1', undefined],
    ['/dev/sda', undefined],
    ['/dev/mapper/my--vg-my--root', 'my-vg/my-root'],
    ['/dev/my-vg/my-root', 'my-vg/my-root'],
    ['/dev/mapper/my-vg-my-root', undefined],
    ['/dev/sda9', undefined],
    ['tmpfs', undefined],
    ['', undefined],
  ])('%s is %s', (device, id) => {
    expect(findDevice(TABLE, device)?.id).toBe(id);
  });
});

describe('planMounts', () => {
  const plan = (text: string): ReturnType<typeof planMounts> =>
    planMounts(parseFstab(text), TABLE, VOLUMES[1]!);

  it('sorts parents before what is in them and keeps the last of two lines', () => {
    const mounts = plan(
      '/dev/sda12 /a/b/c ext4\n/dev/sda3 /a ext4\n/dev/sda1 /a/./b/ auto defaults\n/dev/sdb7 /a ext4 rw',
    );
    expect(mounts.map(({ mountPoint, volume: found }) => [mountPoint, found?.id])).toEqual([
      ['/a', undefined],
      ['/a/b', '1'],
      ['/a/b/c', '12'],
    ]);
    expect(mounts[1]?.obstacle).toContain('vfat');
  });

  it('leaves out what is not mounted from a disk at boot', () => {
    const text =
      'proc /proc proc\n/dev/sda12 none swap sw\n/dev/sda12 swap swap sw\n/dev/sda3 /x ext4 noauto\nnas:/x /m nfs noauto\ntmpfs /var/log tmpfs size=1m\n/dev/sr0 /cd auto ro\n/dev/fd0 /fd vfat user\n/dev/sda2 / ext4\n/dev/sda3 /../x ext4\n/dev/sda3 relative ext4\nshm /dev/shm devtmpfs';
    expect(plan(text)).toEqual([]);
    expect(plan('/dev/sda3 /x ext4 noauto,x-systemd.automount')).toHaveLength(1);
  });

  it('leaves out none of many, or refuses', () => {
    const lines = (count: number): string =>
      Array.from({ length: count }, (_, index) => `nas:/x /m${index} nfs`).join('\n');
    expect(plan(lines(256))).toHaveLength(256);
    expect(() => plan(lines(257))).toThrow(
      expect.objectContaining({
        code: 'TSB_GUEST',
        message: expect.stringContaining('mounts 257 filesystems, more than the 256') as string,
      }),
    );
  });

  it.each([
    ['UUID=gone /x ext4', 'UUID=gone at /x (/etc/fstab: "UUID=gone /x ext4 defaults"), and none'],
    ['LABEL=same /x auto ro', 'more than one of the filesystems on this disk has that name'],
    ['/dev/sdb1 /x ext4', '/dev/sdb1 at /x'],
    ['nas:/export /x nfs4 _netdev', 'not on a disk of its own'],
    ['//server/share /x cifs', 'not on a disk of its own'],
    ['//server/share /x auto', 'not on a disk of its own'],
    ['tag /x virtiofs', 'not on a disk of its own'],
    ['user@host:dir /x fuse.sshfs', 'not on a disk of its own'],
    ['nas:/x /x nfs noauto,x-systemd.automount', 'not on a disk of its own'],
  ])('says what the guest needs and its disk does not have: %s', (line, message) => {
    expect(plan(line)).toMatchObject([{ volume: undefined, obstacle: undefined }]);
    expect(plan(line)[0]?.absent).toContain(message);
    const optional = plan(`${line}${line.split(' ').length > 3 ? ',' : ' '}nofail`);
    expect(optional).toMatchObject([{ volume: undefined, obstacle: undefined, absent: undefined }]);
  });

  it('does not say that something is missing which may be where it cannot look', () => {
    const inPieces = { ...VOLUMES[4]!, range: undefined };
    const mounts = planMounts(
      parseFstab('UUID=x /x ext4\n/dev/md0 /m ext4'),
      { ...TABLE, volumes: [...VOLUMES, inPieces] },
      VOLUMES[1]!,
    );
    expect(mounts.map(({ absent, obstacle }) => [absent, obstacle])).toEqual([
      [undefined, 'it is the RAID device /dev/md0'],
      [undefined, 'it is UUID=x, which may be in LVM volume my-vg/my-root (ext4)'],
    ]);
  });

  it('never mounts the root, or one volume, twice', () => {
    expect(plan('/dev/sda2 /again ext4')[0]?.obstacle).toContain('another place');
    const twice = plan('/dev/sda3 /a ext4\n/dev/disk/by-partuuid/0a0b0c0d-03 /b ext4');
    expect(twice.map(({ obstacle }) => obstacle === undefined)).toEqual([true, false]);
  });
});
