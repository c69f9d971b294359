import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Guest } from '../../../src/guest/guest.js';
import { findRoots } from '../../../src/guest/find-root.js';
import { forEachGuest, openGuestOn } from '../../../src/guest/open-guest.js';
import { openFileSource } from '../../../src/io/file-source.js';
import { MIB, type TreeSpec, run } from '../../helpers/guest-image.js';
import { GUEST_TREES } from '../../helpers/guest-trees.js';
import { GROUP, type MadeDisk, type PartitionSpec, makeMountedDisk } from '../../helpers/mounted-disk.js';

const BOOT = '11111111-1111-4111-8111-111111111111';
const VAR = '22222222-2222-4222-8222-222222222222';

const FSTAB = [
  'UUID=00000000-0000-4000-8000-000000000000 / ext4 defaults 0 1',
  `UUID=${BOOT} /boot ext4 defaults 0 2`,
  'LABEL=var\\040data /var ext4 defaults 0 2',
  '/dev/vda4 /var/log/ ext4 defaults 0 2',
  'UUID=dead-beef /media/gone vfat defaults 0 0',
  'tmpfs /tmp tmpfs defaults 0 0',
  '/dev/sr0 /media/cdrom udf,iso9660 user,noauto 0 0',
].join('\n');

const ROOT: TreeSpec = {
  ...GUEST_TREES.DEBIAN_12,
  'etc/fstab': FSTAB,
  'etc/log-link': { link: '/var/log/here' },
  'etc/up': { link: '../../boot/../boot/config' },
  'boot/hidden': 'under the mount',
  home: { dir: 0o755 },
  'var/lib/systemd': { dir: 0o755 },
};

const SPECS: readonly PartitionSpec[] = [
  { tree: ROOT, mib: 12 },
  { tree: { config: 'CONFIG=y\n', back: { link: '/etc/hostname' } }, uuid: BOOT },
  {
    tree: { 'lib/systemd/x': '', spool: { link: '../home' }, 'log/covered': '' },
    uuid: VAR,
    label: 'var data',
  },
  { tree: { here: 'a log', deep: { link: '../../../etc/os-release' } } },
];

const makeDisk = (...more: readonly PartitionSpec[]): MadeDisk => makeMountedDisk(...SPECS, ...more);

function fsck({ path, partitions }: MadeDisk): void {
  for (const { offset } of partitions) run('e2fsck', ['-fn', `${path}?offset=${offset}`]);
}

const debugfs = ({ path, partitions }: MadeDisk, number: number, command: string): string =>
  run('debugfs', ['-R', command, `${path}?offset=${partitions[number - 1]?.offset}`]);

const sha = ({ path }: MadeDisk): string => createHash('sha256').update(readFileSync(path)).digest('hex');

async function opened(disk: MadeDisk, system?: string): Promise<Guest> {
  const guest = await openGuestOn(disk, { system });
  if (!guest) throw new Error('no guest');
  return guest;
}

describe('a guest of several filesystems', () => {
  it('reads across its mounts, links too', async () => {
    await using guest = await opened(makeDisk());
    expect(guest.os).toMatchObject({ type: 'linux', init: 'systemd', distro: { id: 'debian' } });
    expect(await guest.list('/boot')).toEqual(['back', 'config', 'lost+found']);
    expect((await guest.readFile('/etc/up')).toString()).toBe('CONFIG=y\n');
    expect((await guest.readFile('/etc/log-link')).toString()).toBe('a log');
    expect((await guest.readFile('/var/log/deep')).toString()).toContain('bookworm');
    expect(await guest.realPath('/var/spool/new')).toBe('/home/new');
    expect(await guest.exists('/boot/hidden')).toBe(false);
    expect(await guest.exists('/var/log/covered')).toBe(false);
    expect(await guest.exists('/boot/config/x')).toBe(false);
    expect(await guest.readLink('/boot/back')).toBe('/etc/hostname');
    expect(await guest.readHead('/boot/config', 3)).toEqual(Buffer.from('CON'));
    expect(await guest.readRange('/boot/../boot/config', 1, 2)).toEqual(Buffer.from('ON'));
    expect(await guest.getXattrs('/boot/config')).toEqual(new Map());
    await expect(guest.readFile('/boot/nothing')).rejects.toMatchObject({
      message: expect.stringMatching(/^\/boot\/nothing in .*: no such file/) as string,
      details: { reason: 'not-found' },
    });
    await expect(guest.stat('boot')).rejects.toMatchObject({ code: 'TSB_GUEST' });
    await expect(guest.stat('/etc/hostname/../x')).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });

  it('gives every file a number of its own in listings', async () => {
    await using guest = await opened(makeDisk());
    const entries = await guest.entries('/', { details: true });
    const roots = await Promise.all(['/', '/boot', '/var', '/var/log'].map((path) => guest.stat(path)));
    expect(new Set(roots.map(({ id }) => id)).size).toBe(4);
    const boot = entries.find(({ name }) => name === 'boot');
    expect(boot?.stat).toEqual(await guest.stat('/boot'));
    expect(entries.find(({ name }) => name === 'etc')?.stat).toEqual(await guest.lstat('/etc'));
    expect((await guest.entries('/boot')).map(({ rawName }) => rawName)).toContain('config');
  });

  it('writes to each and leaves all clean', async () => {
    const disk = makeDisk();
    await using guest = await opened(disk);
    await guest.writeFile('/boot/back', 'host\n');
    await guest
      .writeFile('/boot/grub/x', '')
      .catch(() => guest.mkdir('/boot/grub/deep/er', { parents: true, mode: 0o700 }));
    await guest.writeFile('/etc/log-link', 'changed');
    await guest.symlink('/var/log', '/boot/logs');
    await guest.makeNode('/var/lib/null', { type: 'character', device: { major: 1, minor: 3 } });
    await guest.hardLink('/var/log/here', '/var/log/again');
    await guest.rename('/var/lib/systemd/x', '/var/lib/y');
    await guest.remove('/boot/config');
    await guest.chmod('/var/lib/y', 0o600);
    await guest.chown('/boot/grub', { uid: 7, gid: 8 });
    await guest.setTime('/var/log/here', 1_000_000);
    await guest.setXattr('/var/lib/y', 'user.a', Buffer.from('1'));
    await guest.setXattr('/var/lib/y', 'user.b', Buffer.from('2'));
    await guest.removeXattr('/var/lib/y', 'user.b');
    await guest.writeFile('/var/log/secret', 's');
    await guest.scrub('/var/log/secret');
    await guest.commit();
    fsck(disk);
    expect(debugfs(disk, 1, 'cat /etc/hostname')).toBe('host\n');
    expect(debugfs(disk, 1, 'ls /boot')).not.toContain('grub');
    expect(debugfs(disk, 2, 'stat /grub')).toMatch(/User: {5}7 {3}Group: {5}8/);
    expect(debugfs(disk, 2, 'stat /grub/deep/er')).toContain('Mode:  0700');
    expect(debugfs(disk, 2, 'stat /logs')).toContain('"/var/log"');
    expect(debugfs(disk, 3, 'stat /lib/y')).toContain('0600');
    expect(debugfs(disk, 4, 'cat /again')).toBe('changed');
    await guest.writeFile('/boot/more', 'after a commit');
    await guest.commit();
    fsck(disk);
    expect(debugfs(disk, 2, 'cat /more')).toBe('after a commit');
  });

  it('refuses what a kernel refuses between filesystems and at mount points', async () => {
    await using guest = await opened(makeDisk());
    const other = { code: 'TSB_GUEST', details: { reason: 'other-filesystem' } };
    await expect(guest.rename('/etc/fstab', '/boot/fstab')).rejects.toMatchObject(other);
    await expect(guest.hardLink('/etc/fstab', '/var/log/x')).rejects.toMatchObject(other);
    await expect(guest.rename('/boot', '/start')).rejects.toMatchObject({ details: { reason: 'busy' } });
    await expect(guest.rename('/var', '/srv')).rejects.toMatchObject({ details: { reason: 'busy' } });
    await expect(guest.remove('/var', { recursive: true })).rejects.toMatchObject({
      details: { reason: 'busy' },
    });
    await expect(guest.remove('/boot')).rejects.toMatchObject({ details: { reason: 'busy' } });
    await expect(guest.symlink('x', '/boot')).rejects.toMatchObject({ details: { reason: 'is-folder' } });
    await expect(guest.mkdir('/boot')).rejects.toMatchObject({ details: { reason: 'exists' } });
    await guest.mkdir('/boot', { parents: true });
    await expect(guest.mkdir('/boot/config/x', { parents: true })).rejects.toMatchObject({
      code: 'TSB_GUEST',
    });
    await expect(guest.scrub('/boot/nothing')).rejects.toMatchObject({ details: { reason: 'not-found' } });
  });

  it('survives links that lead in circles between filesystems', async () => {
    const specs = [...SPECS];
    specs[0] = { tree: { ...ROOT, 'etc/a': { link: '/boot/b' } }, mib: 12 };
    specs[1] = { tree: { b: { link: '/etc/a' } }, uuid: BOOT };
    await using guest = await opened(makeMountedDisk(...specs));
    await expect(guest.readFile('/etc/a')).rejects.toMatchObject({ details: { reason: 'loop' } });
    expect(await guest.exists('/etc/a')).toBe(false);
  });
});

describe('a commit of several filesystems', () => {
  it('changes none when the last one is full', async () => {
    const disk = makeDisk();
    const before = sha(disk);
    await using guest = await opened(disk);
    await guest.writeFile('/var/log/new', 'x');
    await guest.writeFile('/boot/new', 'x');
    await guest.writeFile('/etc/huge', Buffer.alloc(12 * MIB, 'x'));
    await expect(guest.commit()).rejects.toMatchObject({ code: 'TSB_NO_SPACE' });
    expect(sha(disk)).toBe(before);
    await guest.remove('/etc/huge');
    await guest.commit();
    fsck(disk);
    expect(debugfs(disk, 2, 'cat /new')).toBe('x');
  });

  it('says which of them is full', async () => {
    const disk = makeDisk();
    const before = sha(disk);
    await using guest = await opened(disk);
    await guest.writeFile('/var/log/new', 'x');
    await guest.writeFile('/boot/huge', Buffer.alloc(9 * MIB, 'x'));
    await guest.writeFile('/etc/new', 'x');
    await expect(guest.commit()).rejects.toMatchObject({
      code: 'TSB_NO_SPACE',
      message: expect.stringContaining('mounted at /boot') as string,
      details: { mountPoint: '/boot' },
    });
    expect(sha(disk)).toBe(before);
  });

  it('labels files by where they are in the guest', async () => {
    const tree: TreeSpec = {
      ...GUEST_TREES.FEDORA,
      'etc/fstab': `UUID=${VAR} /var ext4 defaults 0 2\nUUID=${BOOT} /srv ext4 defaults 0 0\n`,
      srv: { dir: 0o755 },
      'etc/selinux/targeted/contexts/files/file_contexts': '/var/lib(/.*)?\tsystem_u:object_r:var_lib_t:s0\n',
    };
    const disk = makeMountedDisk(
      { tree, mib: 12 },
      { tree: { lib: { dir: 0o755 } }, uuid: VAR },
      { tree: {}, uuid: BOOT },
    );
    await using guest = await opened(disk);
    await guest.writeFile('/var/lib/x', '');
    await guest.commit();
    const label = (await guest.getXattrs('/var/lib/x')).get('security.selinux')?.toString();
    expect(label).toBe('system_u:object_r:var_lib_t:s0\0');
    expect(await guest.exists('/.autorelabel')).toBe(false);
    await guest.writeFile('/srv/x', '');
    await guest.commit();
    expect(await guest.exists('/.autorelabel')).toBe(true);
    fsck(disk);
  });
});

describe('a filesystem that cannot be reached', () => {
  it.each<[string, PartitionSpec, string, RegExp]>([
    [
      'FAT',
      { mkfs: ['mkfs.vfat', '-i', 'ABCD1234'], mib: 4 },
      'UUID=ABCD-1234',
      /partition 2, which holds vfat/,
    ],
    [
      'XFS',
      { mkfs: ['mkfs.xfs', '-q', '-L', 'far'], mib: 300 },
      'LABEL="far"',
      /partition 2, which holds xfs/,
    ],
    [
      'an LVM volume in pieces',
      { lvm: [{ name: 'x', tree: {}, pieces: 2 }] },
      `/dev/${GROUP}/x`,
      /LVM volume vg-0\/x is not in one piece on this disk: 2 segments of type striped/,
    ],
    [
      'a damaged one',
      { tree: {}, label: 'd', args: ['-O', '^metadata_csum'] },
      '/dev/disk/by-label/d',
      /damaged/,
    ],
    ['a bind mount', { mib: 1 }, '/home', /bind mount of \/home/],
  ])('is an error only for what is in it: %s', async (name, spec, device, message) => {
    const bind = name === 'a bind mount' ? 'bind' : 'defaults';
    const tree = {
      ...GUEST_TREES.DEBIAN_12,
      'etc/fstab': `${device} /srv/data auto ${bind} 0 0`,
      'srv/data': { dir: 0o755 },
      'etc/in': { link: '/srv/data/in' },
    };
    const disk = makeMountedDisk({ tree, mib: 12 }, spec);
    if (name === 'a damaged one') {
      run('dd', [
        'if=/dev/urandom',
        `of=${disk.path}`,
        'bs=1',
        'count=4',
        `seek=${(disk.partitions[1]?.offset ?? 0) + 1024 + 40}`,
        'conv=notrunc',
        'status=none',
      ]);
    }
    await using guest = await opened(disk);
    const error = {
      code: 'TSB_GUEST',
      message: expect.stringMatching(message) as string,
      hint: expect.stringContaining('libguestfs') as string,
      details: { reason: 'other-filesystem', mountPoint: '/srv/data' },
    };
    await expect(guest.writeFile('/srv/data/x', '')).rejects.toMatchObject(error);
    await expect(guest.exists('/etc/in')).rejects.toMatchObject(error);
    await expect(guest.remove('/srv', { recursive: true })).rejects.toMatchObject({
      details: { reason: 'busy' },
    });
    await guest.writeFile('/srv/fine', 'x');
    await guest.commit();
    expect((await guest.entries('/srv', { details: true })).map(({ rawName }) => rawName)).toEqual([
      'data',
      'fine',
    ]);
  });

  it('is the same one mounted twice', async () => {
    const tree = {
      ...GUEST_TREES.DEBIAN_12,
      'etc/fstab': `UUID=${BOOT} /srv ext4 defaults 0 0\nUUID=${BOOT} /opt ext4 defaults 0 0\n`,
    };
    await using guest = await opened(makeMountedDisk({ tree, mib: 12 }, { tree: { x: '' }, uuid: BOOT }));
    expect(await guest.exists('/opt/x')).toBe(true);
    await expect(guest.exists('/srv/x')).rejects.toMatchObject({
      message: expect.stringContaining('another place') as string,
    });
  });
});

describe('a filesystem that is not on the disk', () => {
  const absentFstab = [
    'UUID=dead-beef /data ext4 defaults 0 2',
    `UUID=${BOOT} /data/here ext4 defaults 0 2`,
    'nas:/export /srv/net nfs _netdev 0 0',
    'UUID=dead-0000 /opt ext4 nofail 0 2',
    'UUID=dead-0001 /usr/never ext4 noauto 0 2',
  ].join('\n');
  const make = (): MadeDisk =>
    makeMountedDisk(
      {
        tree: {
          ...GUEST_TREES.DEBIAN_12,
          'etc/fstab': absentFstab,
          'etc/in': { link: '/data/file' },
          'data/file': 'below',
          'data/out': { link: '/etc' },
          'data/here': { dir: 0o755 },
          'srv/net': { dir: 0o755 },
          'opt/old': '',
        },
        mib: 12,
      },
      { tree: { kept: 'x' }, uuid: BOOT },
    );
  const absent = (point: string): object => ({
    code: 'TSB_GUEST',
    hint: expect.stringContaining('nofail') as string,
    details: { reason: 'not-on-disk', mountPoint: point },
  });

  it('cannot be written to, by any name and in any way', async () => {
    const disk = make();
    const before = sha(disk);
    await using guest = await opened(disk);
    const attempts: readonly (() => Promise<void>)[] = [
      () => guest.writeFile('/data/new', 'x'),
      () => guest.writeFile('/etc/in', 'x'),
      () => guest.writeFile('/data/out/hostname', 'x'),
      () => guest.writeFile('/etc/../data/./new', 'x'),
      () => guest.mkdir('/data/a/b', { parents: true }),
      () => guest.symlink('x', '/data/link'),
      () => guest.makeNode('/data/null', { type: 'character', device: { major: 1, minor: 3 } }),
      () => guest.hardLink('/etc/fstab', '/data/fstab'),
      () => guest.rename('/etc/fstab', '/data/fstab'),
      () => guest.rename('/data/file', '/etc/file'),
      () => guest.remove('/data/file'),
      () => guest.scrub('/data/file'),
      () => guest.chmod('/data/file', 0o600),
      () => guest.chmod('/data', 0o700),
      () => guest.chown('/etc/in', { uid: 1, gid: 1 }),
      () => guest.setTime('/data/file', 1),
      () => guest.setXattr('/data/file', 'user.x', Buffer.from('x')),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(absent('/data'));
    await expect(guest.writeFile('/data/new', 'x')).rejects.toThrow(
      /^\/data\/new: the guest mounts UUID=dead-beef at \/data \(\/etc\/fstab: "UUID=dead-beef \/data ext4 defaults"\)/,
    );
    await expect(guest.writeFile('/srv/net/x', '')).rejects.toMatchObject(absent('/srv/net'));
    await expect(guest.remove('/data', { recursive: true })).rejects.toMatchObject({
      details: { reason: 'busy' },
    });
    await guest.commit();
    expect(sha(disk)).toBe(before);
  });

  it('hinders nothing else', async () => {
    const disk = make();
    await using guest = await opened(disk);
    expect((await guest.readFile('/etc/in')).toString()).toBe('below');
    expect(await guest.list('/data')).toEqual(['file', 'here', 'out']);
    await guest.writeFile('/data/here/new', 'here');
    await guest.mkdir('/data', { parents: true });
    await guest.writeFile('/opt/new', 'optional');
    await guest.mkdir('/usr/never/x', { parents: true });
    await guest.writeFile('/srv/x', 'beside');
    await guest.commit();
    fsck(disk);
    expect(debugfs(disk, 2, 'cat /new')).toBe('here');
    expect(debugfs(disk, 1, 'cat /opt/new')).toBe('optional');
  });
});

describe('LVM', () => {
  const root = (fstab: string): TreeSpec => ({ ...GUEST_TREES.DEBIAN_12, 'etc/fstab': fstab });

  it('is changed in place where a volume is in one piece', async () => {
    const fstab = `/dev/mapper/vg--0-root / ext4 defaults 0 1\n/dev/${GROUP}/home /home ext4 defaults 0 2\nUUID=${BOOT} /boot ext4 defaults 0 2\n`;
    const disk = makeMountedDisk(
      { tree: {}, uuid: BOOT },
      {
        lvm: [
          { name: 'home', tree: { user: { dir: 0o755 } } },
          { name: 'root', tree: root(fstab), mib: 12 },
        ],
      },
    );
    await using guest = await opened(disk);
    await guest.writeFile('/home/user/file', 'home');
    await guest.writeFile('/etc/hostname', 'lvm');
    await guest.writeFile('/boot/x', 'boot');
    await guest.commit();
    const lvm = disk.partitions[1]?.offset ?? 0;
    const read = (offset: number, file: string): string =>
      run('debugfs', ['-R', `cat ${file}`, `${disk.path}?offset=${offset}`]);
    expect(read(lvm + MIB, '/user/file')).toBe('home');
    expect(read(lvm + 9 * MIB, '/etc/hostname')).toBe('lvm');
    expect(read(MIB, '/x')).toBe('boot');
    for (const offset of [MIB, lvm + MIB, lvm + 9 * MIB])
      run('e2fsck', ['-fn', `${disk.path}?offset=${offset}`]);
  });

  it('tells two systems apart by their volumes', async () => {
    const disk = makeMountedDisk(
      {
        lvm: [
          { name: 'a', tree: root('') },
          { name: 'b', tree: GUEST_TREES.ALPINE },
        ],
      },
      { tree: GUEST_TREES.CENTOS_6 },
    );
    await expect(openGuestOn(disk)).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining(`LVM volume ${GROUP}/b (Alpine Linux v3.18)`) as string,
      hint: expect.stringMatching(/vg-0\/a or .*vg-0\/b or .*2$/) as string,
    });
    for (const [name, id] of [
      ['a', 'debian'],
      [`${GROUP}/b`, 'alpine'],
      [`/dev/${GROUP}/b`, 'alpine'],
      ['2', 'centos'],
      ['/dev/sda2', 'centos'],
    ] as const) {
      await using guest = await opened(disk, name);
      expect(guest.os.distro?.id).toBe(id);
    }
    await expect(openGuestOn(disk, { system: '1' })).rejects.toMatchObject({
      message: expect.stringContaining('no Linux system has its root on 1') as string,
    });
    expect(await forEachGuest(disk, {}, (guest) => Promise.resolve(guest.os.distro?.id))).toEqual([
      'debian',
      'alpine',
      'centos',
    ]);
  });
});

describe('findRoots', () => {
  it('knows a system whose programs are on a separate /usr, and that /usr is none', async () => {
    const tree = Object.entries(GUEST_TREES.DEBIAN_12);
    const isUsr = ([path]: [string, unknown]): boolean => path.startsWith('usr/');
    const rootTree = Object.fromEntries([
      ...tree.filter((entry) => !isUsr(entry)),
      ['etc/fstab', 'PARTUUID=0a0b0c0d-02 /usr auto ro 0 0'],
    ]) as TreeSpec;
    const usrTree = Object.fromEntries([
      ...tree.filter(isUsr).map(([path, what]) => [path.slice(4), what]),
      ['etc/x', ''],
      ['sbin/init', { link: '/lib/systemd/systemd' }],
    ]) as TreeSpec;
    const disk = makeMountedDisk({ tree: rootTree }, { tree: usrTree });
    const file = openSync(disk.path, 'r+');
    writeSync(file, Buffer.from([0x0d, 0x0c, 0x0b, 0x0a]), 0, 4, 440);
    closeSync(file);
    await using source = await openFileSource(disk.path);
    const roots = await findRoots(source, disk.partitions);
    expect(
      roots.map(({ volume, os, mounts }) => [volume.id, os.distro?.version, os.arch, mounts.length]),
    ).toEqual([['1', '12', 'x86_64', 1]]);
  });
});
