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

/** Trees that imitate the parts of well-known systems that tsbuilder looks at. */
export const GUEST_TREES = { DEBIAN_12, UBUNTU_1204, FEDORA, OPENSUSE_11, CENTOS_6, ALPINE, CIRROS };
