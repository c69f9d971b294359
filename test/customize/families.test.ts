import { expect, it } from 'vitest';
import { rootPassword } from '../../src/customize/ops/root-password.js';
import { firstbootCommand } from '../../src/customize/ops/firstboot.js';
import { hostname } from '../../src/customize/ops/hostname.js';
import { timezone } from '../../src/customize/ops/timezone.js';
import { PASSWD, SHADOW } from '../helpers/account-guests.js';
import type { TreeSpec } from '../helpers/guest-image.js';
import { GUEST_TREES, MORE_TREES, elf } from '../helpers/guest-trees.js';
import { applied, operation, textOf } from '../helpers/identity-guests.js';

const NAME = 'web1.example.com';
/** What is in every system besides the files that tell what it is. */
const COMMON: TreeSpec = {
  'etc/passwd': PASSWD,
  'etc/shadow': { data: SHADOW, mode: 0o640 },
  'etc/hosts': '127.0.0.1 localhost\n',
  'usr/share/zoneinfo/UTC': 'TZif2 UTC',
};
const RC_LOCAL: TreeSpec = { 'etc/init.d/rc.local': '', 'etc/rc.local': '#!/bin/sh -e\nexit 0\n' };
const SYSTEMD = 'etc/systemd/system/multi-user.target.wants/tsbuilder-firstboot.service';
const UPSTART = 'etc/init/tsbuilder-firstboot.conf';
const OPENRC = 'etc/runlevels/default/tsbuilder-firstboot';
const OPENRC_SHELL: TreeSpec = { 'sbin/openrc-run': elf(62), 'sbin/runscript': elf(62) };
const NETWORK: TreeSpec = { 'etc/sysconfig/network': 'NETWORKING=yes\n' };
const BUSYBOX = 'etc/rc3.d/S99-tsbuilder-firstboot';

/** By release: how its passwords are hashed, what starts the first boot scripts, where its host name is, what else it has. */
const FAMILIES: [string, 'yescrypt' | 'sha512' | 'md5', string, string, TreeSpec?][] = [
  ['Debian 6', 'sha512', 'etc/rc.local', 'etc/hostname', RC_LOCAL],
  ['Debian 7', 'sha512', 'etc/rc.local', 'etc/hostname', RC_LOCAL],
  ['Debian 8', 'sha512', SYSTEMD, 'etc/hostname'],
  ['Debian 10', 'sha512', SYSTEMD, 'etc/hostname'],
  ['DEBIAN_12', 'yescrypt', SYSTEMD, 'etc/hostname'],
  ['Debian 13', 'yescrypt', SYSTEMD, 'etc/hostname'],
  ['Debian testing', 'sha512', SYSTEMD, 'etc/hostname'],
  ['UBUNTU_1204', 'sha512', UPSTART, 'etc/hostname'],
  ['Ubuntu 14.04', 'sha512', UPSTART, 'etc/hostname'],
  ['Ubuntu 16.04', 'sha512', SYSTEMD, 'etc/hostname'],
  ['Ubuntu 24.04', 'yescrypt', SYSTEMD, 'etc/hostname'],
  ['Fedora 14', 'sha512', UPSTART, 'etc/sysconfig/network', NETWORK],
  ['FEDORA', 'yescrypt', SYSTEMD, 'etc/hostname'],
  ['Fedora 41', 'yescrypt', SYSTEMD, 'etc/hostname'],
  [
    'RHEL 5',
    'md5',
    'etc/rc.d/rc.local',
    'etc/sysconfig/network',
    { ...NETWORK, 'etc/rc.d/rc.local': '#!/bin/sh\n' },
  ],
  ['RHEL 6', 'sha512', UPSTART, 'etc/sysconfig/network', NETWORK],
  ['RHEL 7', 'sha512', SYSTEMD, 'etc/hostname'],
  ['RHEL 9', 'yescrypt', SYSTEMD, 'etc/hostname'],
  [
    'CentOS 5',
    'md5',
    'etc/rc.d/rc.local',
    'etc/sysconfig/network',
    { ...NETWORK, 'etc/rc.d/rc.local': '#!/bin/bash\n' },
  ],
  ['CENTOS_6', 'sha512', UPSTART, 'etc/sysconfig/network', NETWORK],
  ['CentOS 7', 'sha512', SYSTEMD, 'etc/hostname'],
  ['CentOS Stream 9', 'yescrypt', SYSTEMD, 'etc/hostname'],
  ['Alma 8', 'sha512', SYSTEMD, 'etc/hostname'],
  ['Rocky 9', 'yescrypt', SYSTEMD, 'etc/hostname'],
  ['Oracle 6', 'sha512', UPSTART, 'etc/sysconfig/network', NETWORK],
  ['OPENSUSE_11', 'sha512', 'etc/init.d/after.local', 'etc/HOSTNAME'],
  ['SLES 11', 'sha512', 'etc/init.d/after.local', 'etc/HOSTNAME'],
  ['SLES 15', 'sha512', SYSTEMD, 'etc/hostname'],
  ['openSUSE Leap', 'sha512', SYSTEMD, 'etc/hostname'],
  ['openSUSE Tumbleweed', 'sha512', SYSTEMD, 'etc/hostname'],
  ['Arch', 'sha512', SYSTEMD, 'etc/hostname'],
  ['ALPINE', 'sha512', OPENRC, 'etc/hostname', OPENRC_SHELL],
  ['Alpine without os-release', 'sha512', OPENRC, 'etc/hostname', OPENRC_SHELL],
  ['CIRROS', 'sha512', BUSYBOX, 'etc/hostname', { 'etc/rc3.d': { dir: 0o755 } }],
  ['CirrOS 0.3', 'sha512', BUSYBOX, 'etc/hostname', { 'etc/rc3.d': { dir: 0o755 } }],
  ['Gentoo', 'sha512', OPENRC, 'etc/conf.d/hostname', { ...OPENRC_SHELL, 'etc/conf.d': { dir: 0o755 } }],
  ['Gentoo on arm64 with systemd', 'sha512', SYSTEMD, 'etc/hostname'],
];
const PREFIXES = { yescrypt: '$y$', sha512: '$6$', md5: '$1$' };

it.each(FAMILIES)('%s gets a password by %s and a service at %s', async (...row) => {
  const [name, method, hook, host, more] = row;
  const tree = { ...COMMON, ...(MORE_TREES[name] ?? GUEST_TREES[name as keyof typeof GUEST_TREES]), ...more };
  const { guest, warnings } = await applied(
    tree,
    operation(hostname, NAME),
    operation(timezone, 'UTC'),
    operation(firstbootCommand, 'echo hello'),
    operation(rootPassword, 'password:secret'),
  );
  await using _ = guest;
  expect(await textOf(guest, '/etc/shadow')).toContain(`root:${PREFIXES[method]}`);
  expect(await textOf(guest, `/${hook}`)).toMatch(/tsbuilder-firstboot/);
  expect(await textOf(guest, `/${host}`)).toContain(NAME);
  expect(await textOf(guest, '/etc/localtime')).toBe('TZif2 UTC');
  expect(await guest.list('/usr/lib/tsbuilder-firstboot/scripts')).toEqual(['0001-command']);
  expect(warnings).toEqual(method === 'md5' ? [expect.stringContaining('md5')] : []);
});

it('is looked at for every system that inspection knows', () => {
  const names = FAMILIES.map(([name]) => name).sort();
  expect(names).toEqual([...Object.keys(GUEST_TREES), ...Object.keys(MORE_TREES)].sort());
});
