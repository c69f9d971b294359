import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type InspectedDisk, inspectDisk } from '../../src/build/inspect-image.js';
import { openFileSource } from '../../src/io/file-source.js';
import { formatInspection } from '../../src/ui/inspection.js';
import { MIB, type TreeSpec, run, scratchPath } from '../helpers/guest-image.js';
import { GUEST_TREES, MORE_TREES } from '../helpers/guest-trees.js';
import { type PartitionSpec, makeMountedDisk } from '../helpers/mounted-disk.js';

const BOOT = '11111111-1111-4111-8111-111111111111';

const DEBIAN: TreeSpec = {
  ...GUEST_TREES.DEBIAN_12,
  'etc/fstab': `LABEL=root / ext4 errors=remount-ro 0 1\nUUID=${BOOT} /boot ext4 ro 0 2\nUUID=AAAA-BBBB /boot/efi vfat umask=0077 0 1\n/dev/sdb1 /srv ext4 defaults 0 0\n`,
  'etc/hostname': '# a comment\n\nweb1\n',
  'usr/lib/modules/6.1.0-10-amd64/x': '',
  'usr/lib/modules/6.1.0-9-amd64/x': '',
  'var/lib/dpkg/status':
    'Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n\nPackage: c\nStatus: hold ok installed\n',
  'etc/cloud/cloud.cfg': '',
};

/** A disk with these partitions and a table of this kind; `types` in their order. */
function makeDisk(specs: readonly PartitionSpec[], types: readonly string[], label = 'gpt'): string {
  const { path, partitions } = makeMountedDisk(...specs);
  const end = partitions.at(-1);
  truncateSync(path, (end ? end.offset + end.length : MIB) + MIB);
  const lines = partitions.map(
    ({ offset, length }, index) =>
      `start=${offset / 512}, size=${length / 512}, type=${types[index] ?? (label === 'gpt' ? 'L' : '83')}`,
  );
  run(
    'sfdisk',
    ['--quiet', '--no-reread', path],
    `label: ${label}\nfirst-lba: 2048\n${lines.join('\n')}\n`.replace(
      label === 'gpt' ? '' : 'first-lba: 2048\n',
      '',
    ),
  );
  return path;
}

async function inspect(path: string): Promise<InspectedDisk> {
  await using disk = await openFileSource(path);
  return await inspectDisk(disk);
}

function patch(path: string, offset: number, data: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, data, 0, data.length, offset);
  closeSync(file);
}

describe('inspectDisk', () => {
  it('describes a system, its mounts and its disk', async () => {
    const path = makeDisk(
      [
        { mkfs: ['mkfs.vfat', '-i', 'AAAABBBB', '-n', 'ESP'], mib: 4 },
        {
          tree: {
            'vmlinuz-6.1.0-10-amd64': 'k',
            'vmlinuz-6.1.0-8-amd64': 'k',
            'grub/grub.cfg': '',
            'initrd.img-6.1.0-10-amd64': '',
          },
          uuid: BOOT,
        },
        { tree: DEBIAN, label: 'root', mib: 12 },
        { mkfs: ['mkswap', '-q'], mib: 2 },
      ],
      ['U', 'L', 'L', 'S'],
    );
    patch(path, 100, Buffer.from('GRUB '));
    patch(path, 510, Buffer.from([0, 0]));
    expect((await inspect(path)).boot).toEqual({ uefi: true, bios: false, biosLoader: undefined });
    patch(path, 510, Buffer.from([0x55, 0xaa]));
    const found = await inspect(path);
    expect(found).toMatchObject({ table: 'gpt', boot: { uefi: true, bios: true, biosLoader: 'grub' } });
    expect(found.systems).toEqual([
      {
        root: '3',
        type: 'linux',
        distro: 'debian',
        family: 'debian',
        productName: 'Debian GNU/Linux 12 (bookworm)',
        version: '12',
        codename: 'bookworm',
        arch: 'x86_64',
        init: 'systemd',
        packageManager: 'apt',
        packages: { format: 'deb', count: 2 },
        selinux: undefined,
        hostname: 'web1',
        kernels: [
          { version: '6.1.0-8-amd64', boot: true, modules: false },
          { version: '6.1.0-9-amd64', boot: false, modules: true },
          { version: '6.1.0-10-amd64', boot: true, modules: true },
        ],
        machineId: 'uninitialized',
        cloudInit: true,
        bootLoaders: ['grub2'],
        mounts: [
          { mountPoint: '/', device: 'LABEL=root', type: 'ext4', volume: '3', problem: undefined },
          { mountPoint: '/boot', device: `UUID=${BOOT}`, type: 'ext4', volume: '2', problem: undefined },
          {
            mountPoint: '/srv',
            device: '/dev/sdb1',
            type: 'ext4',
            volume: undefined,
            problem: 'it is not on this disk',
          },
          {
            mountPoint: '/boot/efi',
            device: 'UUID=AAAA-BBBB',
            type: 'vfat',
            volume: '1',
            problem: expect.stringContaining('vfat') as string,
          },
        ],
      },
    ]);
    expect(found.volumes).toMatchObject([
      { id: '1', content: 'vfat', label: 'ESP', uuid: 'AAAA-BBBB', purpose: 'EFI system', size: 4 * MIB },
      { id: '2', content: 'ext4', uuid: BOOT, purpose: 'Linux' },
      { id: '3', content: 'ext4', label: 'root' },
      { id: '4', content: 'swap', purpose: 'Linux swap' },
    ]);
    const [, boot] = found.volumes;
    expect((boot?.used ?? 0) + (boot?.free ?? 0)).toBe(8 * MIB);
    const text = formatInspection(found);
    expect(text).toMatch(/^Debian GNU\/Linux 12 \(bookworm\) on partition 3$/m);
    expect(text).toMatch(/Host name: +web1/);
    expect(text).toContain('6.1.0-8-amd64 (no modules), 6.1.0-9-amd64 (not in /boot), 6.1.0-10-amd64');
    expect(text).toMatch(/\/boot\/efi +UUID=AAAA-BBBB +vfat +partition 1 +not looked into/);
    expect(text).toMatch(/Boots by: +UEFI, BIOS \(grub\)/);
  });

  it('finds two systems, on LVM and on a partition, and other package databases', async () => {
    const alpine: TreeSpec = {
      ...GUEST_TREES.ALPINE,
      'lib/apk/db/installed': 'C:x\nP:musl\nV:1\n\nP:busybox\n',
      'etc/conf.d/hostname': 'hostname="old"\n',
      'etc/machine-id': '',
      'boot/extlinux.conf': '',
    };
    const path = makeDisk(
      [
        {
          lvm: [
            { name: 'root', tree: alpine },
            { name: 'gone', tree: {}, pieces: 2 },
          ],
        },
        { tree: { ...GUEST_TREES.FEDORA, 'etc/machine-id': `${'a'.repeat(32)}\n` } },
      ],
      ['E6D6D379-F507-44C2-A23C-238F2A3DF928', '83BD6B9D-7F41-11DC-BE0B-001560B84F0F'],
    );
    const found = await inspect(path);
    expect(found.systems).toMatchObject([
      {
        root: 'vg-0/root',
        distro: 'alpine',
        packages: { format: 'apk', count: 2 },
        hostname: 'old',
        machineId: 'empty',
        bootLoaders: ['extlinux'],
        cloudInit: false,
      },
      {
        root: '2',
        distro: 'fedora',
        packages: { format: 'rpm', count: undefined },
        selinux: { mode: 'enforcing', policy: 'targeted' },
        machineId: 'set',
      },
    ]);
    expect(found.volumes).toMatchObject([
      { id: 'vg-0/root', partition: 1, purpose: undefined },
      { id: 'vg-0/gone', problem: expect.stringContaining('not in one piece') as string },
      { id: '2', purpose: 'FreeBSD boot' },
    ]);
    expect(formatInspection(found)).toMatch(
      /Problems\n {2}LVM volume vg-0\/gone: LVM volume vg-0\/gone is not in one piece/,
    );
  });

  it.each<[string, TreeSpec, object]>([
    [
      'pacman',
      {
        ...MORE_TREES['Arch'],
        'var/lib/pacman/local/a-1/desc': '',
        'var/lib/pacman/local/ALPM_DB_VERSION': '9',
      },
      { packages: { format: 'pacman', count: 1 } },
    ],
    [
      'ebuilds',
      { ...MORE_TREES['Gentoo'], 'var/db/pkg/sys-apps/x-1/PF': '', 'var/db/pkg/sys-apps/-MERGING-y/PF': '' },
      { packages: { format: 'ebuild', count: 1 } },
    ],
    [
      'a RHEL 5',
      {
        ...MORE_TREES['RHEL 5'],
        'etc/sysconfig/network': 'NETWORKING=yes\nHOSTNAME=old.example.com\n',
        'boot/grub/grub.conf': '',
        'boot/vmlinuz-2.6.18-398.el5': '',
      },
      {
        hostname: 'old.example.com',
        machineId: 'absent',
        bootLoaders: ['grub legacy'],
        kernels: [{ version: '2.6.18-398.el5', boot: true, modules: false }],
      },
    ],
    [
      'odd files',
      {
        ...GUEST_TREES.DEBIAN_12,
        'var/lib/dpkg/status': { dir: 0o755 },
        'etc/hostname': { link: '/proc/x' },
        boot: 'a file',
        'usr/lib/modules': { link: 'modules' },
      },
      { hostname: undefined, kernels: [], packages: { format: 'deb', count: undefined } },
    ],
    ['no package manager', GUEST_TREES.CIRROS, { packages: undefined, packageManager: undefined }],
  ])('knows %s', async (_, tree, expected) => {
    const { systems } = await inspect(makeDisk([{ tree, mib: 12 }], []));
    expect(systems).toMatchObject([expected]);
  });

  it.each<[string, readonly PartitionSpec[], readonly string[], RegExp]>([
    [
      'Windows',
      [{ mib: 1 }, { mkfs: ['mkntfs', '-q', '-F', '-Q'], mib: 4 }],
      ['E3C9E316-0B5C-4DB8-817D-F92DF00215AE', 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7'],
      /partition 2 may belong to Windows/,
    ],
    [
      'FreeBSD',
      [{ mib: 2 }],
      ['516E7CB6-6ECF-11D6-8FF8-00022D09712B'],
      /partition 1 may belong to a BSD system/,
    ],
    [
      'XFS',
      [{ mkfs: ['mkfs.xfs', '-q'], mib: 300 }],
      ['L'],
      /partition 1 may belong to a system on a filesystem that only libguestfs reads/,
    ],
    ['data only', [{ tree: { 'photos/a': '' } }], ['L'], /No Linux system was found/],
  ])('says what else the partitions hold: %s', async (_, specs, types, sign) => {
    const found = await inspect(makeDisk(specs, types));
    expect(found.systems).toEqual([]);
    expect(formatInspection(found)).toMatch(sign);
  });

  it('looks at a filesystem on the whole disk, and at an empty disk', async () => {
    const path = scratchPath('whole.img');
    writeFileSync(path, '');
    truncateSync(path, 4 * MIB);
    const empty = await inspect(path);
    expect(empty).toMatchObject({
      table: 'none',
      systems: [],
      volumes: [],
      boot: { uefi: false, bios: false },
    });
    expect(formatInspection(empty)).toContain('no partition and no filesystem');
    run('mke2fs', ['-q', '-F', path]);
    expect(formatInspection(await inspect(path))).toMatch(/^disk +4 MiB +ext2/m);
  });

  it('reports damage of one filesystem and describes the others', async () => {
    const path = makeDisk(
      [{ tree: GUEST_TREES.CENTOS_6 }, { tree: GUEST_TREES.ALPINE, args: ['-O', '^metadata_csum'] }],
      [],
      'dos',
    );
    patch(path, 9 * MIB + 1024 + 40, Buffer.from('ffffffff', 'hex'));
    const found = await inspect(path);
    expect(found.systems.map(({ distro }) => distro)).toEqual(['centos']);
    expect(found.volumes[1]?.problem).toMatch(/damaged ext filesystem/);
    expect(found.volumes[0]?.purpose).toBe('Linux');
  });

  it('escapes what a hostile guest says', async () => {
    const tree = {
      ...GUEST_TREES.DEBIAN_12,
      'etc/hostname': 'a\x1b[2Jb\n',
      'usr/lib/os-release': 'ID=debian\nPRETTY_NAME="x\x1b]0;y\x07"\n',
    };
    const text = formatInspection(await inspect(makeDisk([{ tree, mib: 12 }], [])));
    expect(Buffer.from(text).every((byte) => byte === 10 || byte >= 32)).toBe(true);
    expect(text).toContain('Host name');
  });
});
