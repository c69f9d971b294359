import * as fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { renameInHosts } from '../../../src/customize/identity/hosts-file.js';
import { setAssignment } from '../../../src/customize/identity/edit-text.js';
import { hostname, hostnameProblem } from '../../../src/customize/ops/hostname.js';
import type { TreeSpec } from '../../helpers/guest-image.js';
import { GUEST_TREES, elf } from '../../helpers/guest-trees.js';
import { SYSTEMD, applied, operation, release, textOf } from '../../helpers/identity-guests.js';

const OLD = { 'etc/hostname': 'old\n', 'etc/hosts': '127.0.0.1\tlocalhost\n127.0.1.1\told.lan\told\n' };
const CENTOS_6 = {
  ...GUEST_TREES.CENTOS_6,
  'etc/sysconfig/network': 'NETWORKING=yes\nHOSTNAME=localhost.localdomain\nGATEWAY=10.0.0.1\n',
  'etc/hosts': '127.0.0.1 localhost localhost.localdomain\n',
};
const NEW_HOSTS = '127.0.0.1\tlocalhost\n127.0.1.1\tweb1.example.com web1\n';
const NAME = 'web1.example.com';

/** Each guest with the files that must have the name afterwards; what is undefined must not be there. */
const GUESTS: [string, TreeSpec, Record<string, string | undefined>][] = [
  [
    'Debian 12',
    { ...GUEST_TREES.DEBIAN_12, ...OLD },
    { hostname: `${NAME}\n`, hosts: NEW_HOSTS, HOSTNAME: undefined },
  ],
  ['Debian without hosts', GUEST_TREES.DEBIAN_12, { hostname: `${NAME}\n`, hosts: NEW_HOSTS }],
  ['Ubuntu 12.04', { ...GUEST_TREES.UBUNTU_1204, ...OLD }, { hostname: `${NAME}\n`, hosts: NEW_HOSTS }],
  [
    'Ubuntu 24.04',
    { ...SYSTEMD, ...release('ubuntu', '24.04', 'debian'), 'etc/hosts': '127.0.0.1 localhost\n' },
    { hostname: `${NAME}\n`, hosts: `127.0.0.1 localhost\n127.0.1.1\t${NAME} web1\n` },
  ],
  [
    'Fedora',
    { ...GUEST_TREES.FEDORA, 'etc/hosts': '127.0.0.1 localhost\n' },
    { hostname: `${NAME}\n`, 'machine-info': `PRETTY_HOSTNAME="${NAME}"\n`, hosts: '127.0.0.1 localhost\n' },
  ],
  [
    'CentOS 6',
    CENTOS_6,
    {
      hostname: undefined,
      'sysconfig/network': `NETWORKING=yes\nHOSTNAME=${NAME}\nGATEWAY=10.0.0.1\n`,
      hosts: '127.0.0.1 localhost localhost.localdomain\n',
    },
  ],
  [
    'CentOS 6 without settings',
    { ...GUEST_TREES.CENTOS_6, 'etc/sysconfig': { dir: 0o755 } },
    {
      'sysconfig/network': `NETWORKING=yes
HOSTNAME=${NAME}
`,
    },
  ],
  ['CentOS 7', { ...SYSTEMD, ...release('centos', '7', 'rhel fedora') }, { hostname: `${NAME}\n` }],
  [
    'AlmaLinux 9',
    {
      ...SYSTEMD,
      ...release('almalinux', '9.4', 'rhel'),
      'etc/machine-info': 'CHASSIS=vm\nPRETTY_HOSTNAME=Old\n',
    },
    { hostname: `${NAME}\n`, 'machine-info': `CHASSIS=vm\nPRETTY_HOSTNAME="${NAME}"\n` },
  ],
  ['openSUSE 11.4', GUEST_TREES.OPENSUSE_11, { HOSTNAME: `${NAME}\n`, hostname: undefined }],
  [
    'openSUSE Leap',
    {
      ...SYSTEMD,
      ...release('opensuse-leap', '15.5', 'suse'),
      'etc/hostname': 'old\n',
      'etc/HOSTNAME': { link: 'hostname' },
    },
    { hostname: `${NAME}\n`, HOSTNAME: `${NAME}\n` },
  ],
  ['Arch', { ...SYSTEMD, ...release('arch', '') }, { hostname: `${NAME}\n`, 'machine-info': undefined }],
  [
    'Alpine',
    {
      ...GUEST_TREES.ALPINE,
      'etc/hostname': 'alp\n',
      'etc/hosts': '127.0.0.1\talp alp.lan localhost\n::1\tlocalhost\n',
    },
    { hostname: `${NAME}\n`, hosts: `127.0.0.1\t${NAME} web1 localhost\n::1\tlocalhost\n` },
  ],
  [
    'CirrOS',
    { ...GUEST_TREES.CIRROS, 'etc/hostname': 'cirros\n' },
    { hostname: `${NAME}\n`, hosts: undefined },
  ],
  [
    'Gentoo with OpenRC',
    {
      ...release('gentoo', ''),
      'sbin/openrc': elf(62),
      'sbin/init': elf(62),
      'etc/conf.d/hostname': '# name\nhostname="localhost"\n',
    },
    { 'conf.d/hostname': `# name\nhostname="${NAME}"\n`, hostname: undefined },
  ],
];

describe('--hostname', () => {
  it.each(GUESTS)('reaches every file of %s that has it', async (_name, tree, files) => {
    const { guest, warnings } = await applied(tree, operation(hostname, NAME));
    await using _ = guest;
    expect(warnings).toEqual([]);
    for (const [path, text] of Object.entries(files))
      expect([path, await textOf(guest, `/etc/${path}`)]).toEqual([path, text]);
  });

  it('keeps the mode of a file and the link that leads to it', async () => {
    const { guest } = await applied(
      {
        ...GUEST_TREES.DEBIAN_12,
        'etc/hostname': { link: 'name' },
        'etc/name': { data: 'old\n', mode: 0o640 },
      },
      operation(hostname, 'new'),
    );
    await using _ = guest;
    expect(await guest.readLink('/etc/hostname')).toBe('name');
    expect(await guest.stat('/etc/name')).toMatchObject({ mode: 0o640, size: 4 });
  });

  it('says when it cannot know where the name is kept', async () => {
    const { guest, warnings } = await applied(
      { ...release('strange', '1'), 'sbin/init': elf(62), 'bin/sh': elf(62) },
      operation(hostname, 'new'),
    );
    await using _ = guest;
    expect(await textOf(guest, '/etc/hostname')).toBe('new\n');
    expect(warnings.join()).toMatch(/strange 1 may keep its host name elsewhere/);
  });

  it('fails on a folder in the way', async () => {
    const tree = { ...GUEST_TREES.DEBIAN_12, 'etc/hostname': { dir: 0o755 } };
    await expect(applied(tree, operation(hostname, 'new'))).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });
});

describe('names', () => {
  it.each(['a', 'web1', 'WEB-1.example.com', '3com', 'x'.repeat(63), `${'x'.repeat(31)}.${'y'.repeat(32)}`])(
    'may be %s',
    (name) => {
      expect(hostname.parse(name)).toBe(name);
      expect(v.parse(hostname.schema, name)).toBe(name);
      expect(hostname.describe(name)).toContain(name);
    },
  );

  it.each([
    ['', /empty/],
    ['a_b', /only letters/],
    ['-a', /dash/],
    ['a-.b', /dash/],
    ['a..b', /empty/],
    ['a.', /empty/],
    ['a b', /only letters/],
    ['a\nb', /only letters/],
    ['bücher', /only letters/],
    ['192.168.1.1', /IP address/],
    ['x'.repeat(64), /64 characters/],
    [`${'x'.repeat(32)}.${'y'.repeat(32)}`, /65 characters/],
  ])('may not be %j', (name, message) => {
    expect(() => hostname.parse(name)).toThrow(message);
    expect(v.safeParse(hostname.schema, name).success).toBe(false);
  });
});

describe('a hosts file', () => {
  it.each([
    ['the own line', '127.0.1.1 tpl.lan tpl # me\n', '127.0.1.1 new # me\n'],
    ['an alias on it', '127.0.1.1 tpl alias\n', '127.0.1.1 new alias\n'],
    ['a foreign name on it', '127.0.1.1 other.lan other\n', '127.0.1.1 new\n'],
    [
      'an own address',
      '127.0.0.1 localhost\n10.0.0.5 tpl.lan tpl db\n',
      '127.0.0.1 localhost\n10.0.0.5 new db\n',
    ],
    [
      'another host of the same first label',
      '127.0.1.1 tpl\n10.0.0.9 tpl.other.org\n',
      '127.0.1.1 new\n10.0.0.9 tpl.other.org\n',
    ],
    [
      'a comment',
      '#127.0.1.1 tpl\n127.0.0.1 localhost\n',
      '#127.0.1.1 tpl\n127.0.0.1 localhost\n127.0.1.1\tnew\n',
    ],
    ['carriage returns', '127.0.1.1 tpl\r\n::1 localhost\r\n', '127.0.1.1 new\r\n::1 localhost\r\n'],
    ['no line at all', '', '127.0.1.1\tnew\n'],
    ['IPv6 only', '::1 localhost tpl\n', '::1 localhost new\n'],
    ['the new name already', '127.0.0.1 localhost NEW\n', '127.0.0.1 localhost NEW\n'],
  ])('with %s', (_, before, after) => {
    expect(renameInHosts(before, { from: 'tpl', to: 'new', addLine: true })).toBe(after);
  });

  it('never takes localhost for a name', () => {
    const text = '127.0.0.1 localhost localhost.localdomain\n';
    expect(renameInHosts(text, { from: 'localhost.localdomain', to: 'new', addLine: false })).toBe(text);
    expect(
      renameInHosts('127.0.0.1 localhost\n127.0.1.1 old\n', { from: 'old', to: 'localhost', addLine: true }),
    ).toBe('127.0.0.1 localhost\n');
  });

  it('changes nothing the second time, and never any other line', () => {
    const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,5}[a-z0-9])?$/);
    const line = fc.oneof(
      fc
        .tuple(
          fc.constantFrom('127.0.0.1', '10.1.2.3', '::1'),
          fc.array(label, { minLength: 1, maxLength: 3 }),
        )
        .map(([a, n]) => `${a}\t${n.join(' ')}`),
      fc.constantFrom('', '# tpl', '   ', 'fe00::0 ip6-localnet'),
    );
    fc.assert(
      fc.property(fc.array(line), label, (lines, to) => {
        fc.pre(
          !lines.some((each) => /\btpl\b/.test(each.replace('# tpl', ''))) &&
            hostnameProblem(to) === undefined,
        );
        const once = renameInHosts(`${lines.join('\n')}\n`, { from: 'tpl', to, addLine: true });
        expect(renameInHosts(once, { from: 'tpl', to, addLine: true })).toBe(once);
        expect(once.split('\n').filter((each) => !each.startsWith('127.0.1.1\t'))).toEqual(
          `${lines.join('\n')}\n`.split('\n'),
        );
      }),
    );
  });
});

describe('an assignment', () => {
  it.each([
    ['', 'A=1\n'],
    ['B=2', 'B=2\nA=1\n'],
    ['A=0\nB=2\n A=3\n', 'A=1\nB=2\n'],
    ['#A=0\nAA=0\n', '#A=0\nAA=0\nA=1\n'],
  ])('takes its place in %j', (before, after) => {
    expect(setAssignment(before, 'A=1')).toBe(after);
  });
});
