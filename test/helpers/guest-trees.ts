import type { TreeSpec } from './guest-image.js';

/** The first bytes of a program for `machine` (ELF e_machine), 64-bit little-endian. */
export function elf(machine: number): Buffer {
  const head = Buffer.alloc(64);
  head.write('\x7fELF\x02\x01\x01', 'latin1');
  head.writeUInt16LE(machine, 18);
  return head;
}

const DEBIAN_12: TreeSpec = {
  'etc/os-release': { link: '../usr/lib/os-release' },
  'usr/lib/os-release':
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
  'etc/debian_version': '12.5\n',
  'etc/fstab':
    '# comment\nUUID=aa-bb / ext4 errors=remount-ro 0 1\nUUID=CC-DD /boot/efi vfat umask=0077 0 1\n',
  'etc/machine-id': 'uninitialized\n',
  bin: { link: 'usr/bin' },
  sbin: { link: 'usr/sbin' },
  lib: { link: 'usr/lib' },
  'usr/bin/sh': { link: 'dash' },
  'usr/bin/dash': elf(62),
  'usr/bin/apt-get': elf(62),
  'usr/lib/systemd/systemd': elf(62),
  'usr/sbin/init': { link: '/lib/systemd/systemd' },
  'var/lib/dbus/machine-id': { link: '/etc/machine-id' },
  'var/lib/systemd': { dir: 0o755 },
};

const UBUNTU_1204: TreeSpec = {
  'etc/lsb-release':
    'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\nDISTRIB_CODENAME=precise\nDISTRIB_DESCRIPTION="Ubuntu 12.04.5 LTS"\n',
  'etc/init/rc.conf': '',
  'etc/init.d/urandom': '',
  'bin/sh': { link: 'dash' },
  'bin/dash': elf(3),
  'sbin/init': elf(3),
  'sbin/initctl': elf(3),
  'usr/bin/apt-get': elf(3),
  'var/lib/urandom/random-seed': Buffer.alloc(512, 1),
  'var/lib/dbus/machine-id': '00000000000000000000000000000000\n',
};

const FEDORA: TreeSpec = {
  'etc/os-release': 'NAME=Fedora\nID=fedora\nVERSION_ID=39\nPRETTY_NAME="Fedora Linux 39"\n',
  'etc/selinux/config': '# SELinux\nSELINUX=enforcing\nSELINUXTYPE=targeted\n',
  'etc/selinux/targeted/contexts/files/file_contexts': [
    '/.*\tsystem_u:object_r:default_t:s0',
    '/etc/.*\tsystem_u:object_r:etc_t:s0',
    '/etc/machine-id\t--\tsystem_u:object_r:machineid_t:s0',
    '/var/lib(/.*)?\tsystem_u:object_r:var_lib_t:s0',
    '/var/lib/systemd/random-seed\t--\tsystem_u:object_r:random_seed_t:s0',
    '/usr/lib/systemd/.*\tsystem_u:object_r:init_t:s0',
    '/proc/.*\t<<none>>',
    '/(bad(?=x)|y)+\tsystem_u:object_r:never_t:s0',
    '',
  ].join('\n'),
  'etc/selinux/targeted/contexts/files/file_contexts.subs_dist': '/run /var/run\n/usr/lib64 /usr/lib\n',
  'usr/lib/systemd/systemd': elf(183),
  'usr/sbin/init': { link: '../lib/systemd/systemd' },
  'usr/bin/bash': elf(183),
  'usr/bin/sh': { link: 'bash' },
  'usr/bin/dnf': elf(183),
  bin: { link: 'usr/bin' },
  sbin: { link: 'usr/sbin' },
  'etc/machine-id': '',
};

const OPENSUSE_11: TreeSpec = {
  'etc/SuSE-release': 'openSUSE 11.4 (x86_64)\nVERSION = 11.4\nCODENAME = Celadon\n',
  'etc/inittab': 'id:3:initdefault:\n',
  'etc/init.d/boot': '',
  'sbin/init': elf(62),
  'bin/sh': elf(62),
  'usr/bin/zypper': elf(62),
};

const CENTOS_6: TreeSpec = {
  'etc/redhat-release': 'CentOS release 6.10 (Final)\n',
  'etc/inittab': '',
  'sbin/init': elf(62),
  'sbin/initctl': elf(62),
  'bin/sh': elf(62),
  'usr/bin/yum': '#!/usr/bin/python\n',
};

const ALPINE: TreeSpec = {
  'etc/os-release': 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.18.4\nPRETTY_NAME="Alpine Linux v3.18"\n',
  'bin/busybox': elf(62),
  'bin/sh': { link: '/bin/busybox' },
  'sbin/init': { link: '/bin/busybox' },
  'sbin/openrc': elf(62),
  'sbin/apk': elf(62),
  'etc/init.d/seedrng': '',
};

const CIRROS: TreeSpec = {
  'etc/cirros/version': '0.6.2\n',
  'etc/os-release': 'NAME=Buildroot\nID=buildroot\nVERSION_ID=2022.02.4\n',
  'bin/busybox': elf(62),
  'bin/sh': { link: 'busybox' },
  'sbin/init': { link: '../bin/busybox' },
  'etc/init.d/S20urandom': '',
};

/** A system that keeps everything in /usr and is started by systemd. */
function merged(osRelease: string, more: TreeSpec = {}, machine = 62): TreeSpec {
  return {
    'etc/os-release': osRelease,
    bin: { link: 'usr/bin' },
    sbin: { link: 'usr/sbin' },
    lib: { link: 'usr/lib' },
    'usr/bin/bash': elf(machine),
    'usr/bin/sh': { link: 'bash' },
    'usr/lib/systemd/systemd': elf(machine),
    'usr/sbin/init': { link: '../lib/systemd/systemd' },
    ...more,
  };
}

/** A system before os-release, with an init of its own that reads /etc/inittab. */
function sysv(more: TreeSpec): TreeSpec {
  return {
    'etc/inittab': 'id:2:initdefault:\n',
    'etc/init.d/rc': '',
    'sbin/init': elf(62),
    'bin/bash': elf(62),
    'bin/sh': { link: 'bash' },
    ...more,
  };
}

const APT: TreeSpec = { 'usr/bin/apt-get': elf(62) };
const YUM: TreeSpec = { 'usr/bin/yum': '#!/usr/bin/python\n' };
const DNF: TreeSpec = {
  'usr/bin/dnf': { link: 'dnf-3' },
  'usr/bin/dnf-3': '',
  'usr/bin/yum': { link: 'dnf-3' },
};
const ZYPPER: TreeSpec = { 'usr/bin/zypper': elf(62) };

function debian(version: string, codename: string): TreeSpec {
  return merged(
    `PRETTY_NAME="Debian GNU/Linux ${version} (${codename})"\nNAME="Debian GNU/Linux"\nVERSION_ID="${version}"\nVERSION="${version} (${codename})"\nID=debian\n`,
    { 'etc/debian_version': `${version}.1\n`, ...APT },
  );
}

function ubuntu(version: string, codename: string, more: TreeSpec): TreeSpec {
  return {
    'etc/os-release': `NAME="Ubuntu"\nVERSION="${version}.6 LTS, ${codename}"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu ${version}.6 LTS"\nVERSION_ID="${version}"\n`,
    'etc/lsb-release': `DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=${version}\nDISTRIB_CODENAME=${codename.toLowerCase()}\n`,
    'etc/debian_version': 'trixie/sid\n',
    ...APT,
    ...more,
  };
}

const UPSTART: TreeSpec = {
  'etc/init.d/rc': '',
  'sbin/init': elf(62),
  'sbin/initctl': elf(62),
  'bin/sh': elf(62),
};
const SYSTEMD_APART: TreeSpec = {
  'sbin/init': { link: '/lib/systemd/systemd' },
  'lib/systemd/systemd': elf(62),
  'bin/sh': elf(62),
};

function enterprise(name: string, id: string, version: string): TreeSpec {
  return merged(
    `NAME="${name}"\nVERSION="${version} (Any Name)"\nVERSION_CODENAME=""\nID="${id}"\nID_LIKE="rhel centos fedora"\nVERSION_ID="${version}"\nPRETTY_NAME="${name} ${version}"\n`,
    DNF,
  );
}

/** More systems, by name: release by release as far as they differ in the files that inspection looks at. */
export const MORE_TREES: Readonly<Record<string, TreeSpec>> = {
  'Debian 6': sysv({ 'etc/debian_version': '6.0.10\n', ...APT }),
  'Debian 7': sysv({
    'etc/debian_version': '7.11\n',
    'etc/os-release':
      'PRETTY_NAME="Debian GNU/Linux 7 (wheezy)"\nNAME="Debian GNU/Linux"\nVERSION_ID="7"\nVERSION="7 (wheezy)"\nID=debian\n',
    ...APT,
  }),
  'Debian 8': { ...debian('8', 'jessie'), 'usr/sbin/init': { link: '/lib/systemd/systemd' } },
  'Debian 10': debian('10', 'buster'),
  'Debian 13': debian('13', 'trixie'),
  'Debian testing': merged(
    'PRETTY_NAME="Debian GNU/Linux forky/sid"\nNAME="Debian GNU/Linux"\nVERSION_CODENAME=forky\nID=debian\n',
    APT,
  ),
  'Ubuntu 14.04': ubuntu('14.04', 'Trusty', UPSTART),
  'Ubuntu 16.04': ubuntu('16.04', 'Xenial', SYSTEMD_APART),
  'Ubuntu 24.04': { ...merged(''), ...ubuntu('24.04', 'Noble', {}) },
  'Fedora 14': sysv({
    'etc/fedora-release': 'Fedora release 14 (Laughlin)\n',
    'etc/redhat-release': { link: 'fedora-release' },
    'sbin/initctl': elf(62),
    ...YUM,
  }),
  'Fedora 41': merged(
    'NAME="Fedora Linux"\nVERSION="41 (Cloud Edition)"\nID=fedora\nVERSION_ID=41\nVERSION_CODENAME=""\nPRETTY_NAME="Fedora Linux 41 (Cloud Edition)"\n',
    { 'usr/bin/dnf': { link: 'dnf5' }, 'usr/bin/dnf5': elf(62) },
  ),
  'RHEL 5': sysv({
    'etc/redhat-release': 'Red Hat Enterprise Linux Server release 5.11 (Tikanga)\n',
    ...YUM,
  }),
  'RHEL 6': sysv({
    'etc/redhat-release': 'Red Hat Enterprise Linux Server release 6.10 (Santiago)\n',
    'sbin/initctl': elf(62),
    ...YUM,
  }),
  'RHEL 7': merged(
    'NAME="Red Hat Enterprise Linux Server"\nVERSION="7.9 (Maipo)"\nID="rhel"\nID_LIKE="fedora"\nVERSION_ID="7.9"\nPRETTY_NAME="Red Hat Enterprise Linux Server 7.9 (Maipo)"\n',
    YUM,
  ),
  'RHEL 9': enterprise('Red Hat Enterprise Linux', 'rhel', '9.4'),
  'CentOS 5': sysv({ 'etc/redhat-release': 'CentOS release 5.11 (Final)\n', ...YUM }),
  'CentOS 7': merged(
    'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\nPRETTY_NAME="CentOS Linux 7 (Core)"\n',
    YUM,
  ),
  'CentOS Stream 9': enterprise('CentOS Stream', 'centos', '9'),
  'Alma 8': enterprise('AlmaLinux', 'almalinux', '8.10'),
  'Rocky 9': enterprise('Rocky Linux', 'rocky', '9.3'),
  'Oracle 6': sysv({
    'etc/oracle-release': 'Oracle Linux Server release 6.10\n',
    'etc/redhat-release': 'Red Hat Enterprise Linux Server release 6.10 (Santiago)\n',
    'sbin/initctl': elf(62),
    ...YUM,
  }),
  'SLES 11': sysv({
    'etc/SuSE-release': 'SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n',
    ...ZYPPER,
  }),
  'SLES 15': merged(
    'NAME="SLES"\nVERSION="15-SP5"\nVERSION_ID="15.5"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP5"\nID="sles"\nID_LIKE="suse"\n',
    ZYPPER,
  ),
  'openSUSE Leap': merged(
    'NAME="openSUSE Leap"\nVERSION="15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\nPRETTY_NAME="openSUSE Leap 15.6"\n',
    ZYPPER,
  ),
  'openSUSE Tumbleweed': merged(
    'NAME="openSUSE Tumbleweed"\nID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nVERSION_ID="20240601"\nPRETTY_NAME="openSUSE Tumbleweed"\n',
    ZYPPER,
  ),
  Arch: merged('NAME="Arch Linux"\nPRETTY_NAME="Arch Linux"\nID=arch\nBUILD_ID=rolling\n', {
    'usr/bin/pacman': elf(62),
    sbin: { link: 'usr/bin' },
    'usr/bin/init': { link: '../lib/systemd/systemd' },
  }),
  'Alpine without os-release': {
    'etc/alpine-release': '2.7.9\n',
    'bin/busybox': elf(3),
    'bin/sh': { link: '/bin/busybox' },
    'sbin/init': { link: '/bin/busybox' },
    'sbin/rc': elf(3),
    'sbin/apk': elf(3),
  },
  'CirrOS 0.3': {
    'etc/cirros/version': '0.3.4\n',
    'bin/busybox': elf(62),
    'bin/sh': { link: 'busybox' },
    'sbin/init': { link: '/bin/busybox' },
    'etc/inittab': '',
  },
  Gentoo: sysv({
    'etc/gentoo-release': 'Gentoo Base System release 2.14\n',
    'sbin/openrc': elf(62),
    'usr/bin/emerge': '',
  }),
  'Gentoo on arm64 with systemd': merged(
    'NAME=Gentoo\nID=gentoo\nPRETTY_NAME="Gentoo Linux"\nVERSION_ID="2.15"\n',
    { 'usr/bin/emerge': '' },
    183,
  ),
};

/** Trees that imitate the parts of well-known systems that tsbuilder looks at. */
export const GUEST_TREES = { DEBIAN_12, UBUNTU_1204, FEDORA, OPENSUSE_11, CENTOS_6, ALPINE, CIRROS };
