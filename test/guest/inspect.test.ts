import { describe, expect, it } from 'vitest';
import { openExtFiles } from '../../src/guest/ext/open-ext-guest.js';
import type { GuestFiles } from '../../src/guest/guest.js';
import { inspectGuest } from '../../src/guest/inspect.js';
import { bytesSource, sliceSource } from '../../src/io/byte-source.js';
import { openFileSource } from '../../src/io/file-source.js';
import { MIB, OFFSET, type TreeSpec, makeExtImage, run, scratchPath } from '../helpers/guest-image.js';
import { GUEST_TREES, MORE_TREES, elf } from '../helpers/guest-trees.js';

async function withFiles<T>(path: string, look: (files: GuestFiles) => Promise<T>): Promise<T> {
  await using disk = await openFileSource(path);
  return await look(await openExtFiles(sliceSource(disk, OFFSET, 16 * MIB)));
}

const inspect = (tree: TreeSpec): ReturnType<typeof inspectGuest> =>
  withFiles(makeExtImage(tree), inspectGuest);

describe('inspectGuest', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('is not misled by %s', async (word) => {
    const shell = { 'bin/sh': elf(62) };
    const modern = await inspect({ ...shell, 'etc/os-release': `ID=${word}\nID_LIKE="${word} x"\n` });
    expect(modern.distro).toMatchObject({ id: word.toLowerCase(), family: 'other' });
    const lsb = await inspect({ ...shell, 'etc/lsb-release': `DISTRIB_ID=${word}\n` });
    expect(lsb.distro).toMatchObject({ id: word.toLowerCase(), family: 'other' });
    const old = await inspect({ ...shell, 'etc/redhat-release': `${word} release 6.1 (X)\n` });
    expect(old.distro).toMatchObject({ id: 'rhel', family: 'redhat', version: '6.1' });
  });

  it.each([
    ['DEBIAN_12', 'debian 12 bookworm', 'debian x86_64 systemd apt'],
    ['UBUNTU_1204', 'ubuntu 12.04 precise', 'debian i386 upstart apt'],
    ['FEDORA', 'fedora 39 ', 'redhat aarch64 systemd dnf'],
    ['OPENSUSE_11', 'opensuse 11.4 Celadon', 'suse x86_64 sysv zypper'],
    ['CENTOS_6', 'centos 6.10 ', 'redhat x86_64 upstart yum'],
    ['ALPINE', 'alpine 3.18.4 ', 'alpine x86_64 openrc apk'],
    ['CIRROS', 'cirros 0.6.2 ', 'cirros x86_64 busybox none'],
  ] as const)('knows %s', async (name, release, system) => {
    const { type, distro, arch, init, packageManager } = await inspect(GUEST_TREES[name]);
    expect(type).toBe('linux');
    expect(`${distro?.id} ${distro?.version} ${distro?.codename}`).toBe(release);
    expect(`${distro?.family} ${arch} ${init} ${packageManager ?? 'none'}`).toBe(system);
  });

  it.each([
    ['Debian 6', 'debian 6.0.10 ', 'debian x86_64 sysv apt'],
    ['Debian 7', 'debian 7 wheezy', 'debian x86_64 sysv apt'],
    ['Debian 8', 'debian 8 jessie', 'debian x86_64 systemd apt'],
    ['Debian 10', 'debian 10 buster', 'debian x86_64 systemd apt'],
    ['Debian 13', 'debian 13 trixie', 'debian x86_64 systemd apt'],
    ['Debian testing', 'debian  forky', 'debian x86_64 systemd apt'],
    ['Ubuntu 14.04', 'ubuntu 14.04 trusty', 'debian x86_64 upstart apt'],
    ['Ubuntu 16.04', 'ubuntu 16.04 xenial', 'debian x86_64 systemd apt'],
    ['Ubuntu 24.04', 'ubuntu 24.04 noble', 'debian x86_64 systemd apt'],
    ['Fedora 14', 'fedora 14 Laughlin', 'redhat x86_64 upstart yum'],
    ['Fedora 41', 'fedora 41 ', 'redhat x86_64 systemd dnf'],
    ['RHEL 5', 'rhel 5.11 Tikanga', 'redhat x86_64 sysv yum'],
    ['RHEL 6', 'rhel 6.10 Santiago', 'redhat x86_64 upstart yum'],
    ['RHEL 7', 'rhel 7.9 Maipo', 'redhat x86_64 systemd yum'],
    ['RHEL 9', 'rhel 9.4 ', 'redhat x86_64 systemd dnf'],
    ['CentOS 5', 'centos 5.11 ', 'redhat x86_64 sysv yum'],
    ['CentOS 7', 'centos 7 Core', 'redhat x86_64 systemd yum'],
    ['CentOS Stream 9', 'centos 9 ', 'redhat x86_64 systemd dnf'],
    ['Alma 8', 'almalinux 8.10 ', 'redhat x86_64 systemd dnf'],
    ['Rocky 9', 'rocky 9.3 ', 'redhat x86_64 systemd dnf'],
    ['Oracle 6', 'ol 6.10 ', 'redhat x86_64 upstart yum'],
    ['SLES 11', 'sles 11.4 ', 'suse x86_64 sysv zypper'],
    ['SLES 15', 'sles 15.5 ', 'suse x86_64 systemd zypper'],
    ['openSUSE Leap', 'opensuse-leap 15.6 ', 'suse x86_64 systemd zypper'],
    ['openSUSE Tumbleweed', 'opensuse-tumbleweed 20240601 ', 'suse x86_64 systemd zypper'],
    ['Arch', 'arch  ', 'arch x86_64 systemd pacman'],
    ['Alpine without os-release', 'alpine 2.7.9 ', 'alpine i386 openrc apk'],
    ['CirrOS 0.3', 'cirros 0.3.4 ', 'cirros x86_64 busybox none'],
    ['Gentoo', 'gentoo 2.14 ', 'gentoo x86_64 openrc emerge'],
    ['Gentoo on arm64 with systemd', 'gentoo 2.15 ', 'gentoo aarch64 systemd emerge'],
  ])('knows %s', async (name, release, system) => {
    const os = await inspect(MORE_TREES[name] ?? {});
    expect(`${os.distro?.id} ${os.distro?.version} ${os.distro?.codename}`).toBe(release);
    expect(`${os.distro?.family} ${os.arch} ${os.init} ${os.packageManager ?? 'none'}`).toBe(system);
  });

  it('reads fstab and the state of SELinux', async () => {
    expect((await inspect(GUEST_TREES.DEBIAN_12)).fstab).toEqual([
      { device: 'UUID=aa-bb', mountPoint: '/', type: 'ext4', options: ['errors=remount-ro'] },
      { device: 'UUID=CC-DD', mountPoint: '/boot/efi', type: 'vfat', options: ['umask=0077'] },
    ]);
    expect((await inspect(GUEST_TREES.FEDORA)).selinux).toEqual({ mode: 'enforcing', policy: 'targeted' });
    const disabled = { ...GUEST_TREES.FEDORA, 'etc/selinux/config': 'SELINUX=disabled\n' };
    expect((await inspect(disabled)).selinux).toBeUndefined();
    const hostile = {
      ...GUEST_TREES.FEDORA,
      'etc/selinux/config': 'SELINUX=enforcing\nSELINUXTYPE=../../x\n',
    };
    expect((await inspect(hostile)).selinux).toBeUndefined();
  });

  it('calls a tree without a system unknown', async () => {
    expect(await inspect({ 'photos/a.jpg': 'x' })).toMatchObject({
      type: 'unknown',
      distro: undefined,
      init: 'unknown',
    });
  });

  it('survives links and folders where files are expected', async () => {
    const os = await inspect({
      'etc/os-release': { link: 'os-release' },
      'usr/lib/os-release': { dir: 0o755 },
      'etc/lsb-release': { link: '/../../../etc/lsb-release' },
      'etc/fstab': { dir: 0o755 },
      'bin/sh': { link: '/nowhere' },
      'sbin/init': { link: '../../../../../../lib/systemd/systemd' },
      'lib/systemd/systemd': elf(62),
    });
    expect(os).toMatchObject({
      type: 'linux',
      distro: undefined,
      init: 'systemd',
      arch: 'x86_64',
      fstab: [],
    });
  });
});

describe('an independent judge', () => {
  it('reads the same from a host folder copied by mke2fs as this reader does', async () => {
    const path = makeExtImage('/etc/apt', { mib: 16 });
    const mine = await withFiles(path, async (files) => {
      const found: string[] = [];
      const walk = async (folder: string): Promise<void> => {
        for (const name of await files.list(folder)) {
          const each = `${folder === '/' ? '' : folder}/${name}`;
          const stat = await files.lstat(each);
          if (stat.type === 'directory') await walk(each);
          else if (stat.type === 'file')
            found.push(`${each} ${stat.mode.toString(8)} ${(await files.readFile(each)).toString('base64')}`);
        }
      };
      await walk('/');
      return found.sort();
    });
    const out = scratchPath('dump');
    run('mkdir', [out]);
    run('debugfs', ['-R', `rdump / ${out}`, `${path}?offset=${OFFSET}`]);
    const theirs = run('find', [
      out,
      '-type',
      'f',
      '-printf',
      '/%P %m ',
      '-exec',
      'base64',
      '-w0',
      '{}',
      ';',
      '-printf',
      '\n',
    ]);
    expect(mine).toEqual(theirs.trim().split('\n').sort());
    expect(mine.length).toBeGreaterThan(2);
  });
});

describe('damage', () => {
  it('is an error, never a crash or a stall, whichever byte is hit', async () => {
    const path = makeExtImage(GUEST_TREES.DEBIAN_12, { mib: 4, args: ['-b', '1024'] });
    const whole = await openFileSource(path).then(async (disk) => {
      await using source = disk;
      return Buffer.from(await source.read(OFFSET, 4 * MIB));
    });
    const used = [...whole.keys()].filter((at) => whole[at] !== 0);
    const outcomes = { fine: 0, refused: 0 };
    for (let round = 0; round < 400; round++) {
      const copy = Buffer.from(whole);
      const at = used[(round * 7919) % used.length] ?? 0;
      copy[at] = [0xff, 0x00, 0x80, (copy[at] ?? 0) ^ 0x11][round % 4] ?? 0;
      try {
        await inspectGuest(await openExtFiles(bytesSource('damaged', copy)));
        outcomes.fine += 1;
      } catch (error) {
        expect(error).toMatchObject({ name: 'TsbuilderError' });
        outcomes.refused += 1;
      }
    }
    expect(outcomes.fine).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
  });
});
