import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { password } from '../../../src/customize/ops/password.js';
import { sshInject } from '../../../src/customize/ops/ssh-inject.js';
import { user } from '../../../src/customize/ops/user.js';
import { DEBIAN, GROUP, GSHADOW, PASSWD, SHADOW, customized } from '../../helpers/account-guests.js';
import { GUEST_TREES } from '../../helpers/guest-trees.js';
import { operation, textOf } from '../../helpers/identity-guests.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';
import { PUBLIC_KEYS } from '../../helpers/ssh-keys.js';

const DAY = Math.floor(1_700_000_000 / 86400);
const SUDOERS = '%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n';
const TREE = {
  ...DEBIAN,
  'etc/login.defs': 'PASS_MAX_DAYS 99999\nPASS_MIN_DAYS 0\nPASS_WARN_AGE 7\nHOME_MODE 0750\n',
  'etc/subuid': 'debian:100000:65536\n',
  'etc/subgid': 'debian:100000:65536\n',
  'etc/sudoers': { data: SUDOERS, mode: 0o440 },
  'etc/sudoers.d': { dir: 0o750 },
  'etc/skel/.bashrc': { data: 'alias l=ls\n', mode: 0o644 },
  'etc/skel/bin/tool': { data: '#!/bin/sh\n', mode: 0o4755 },
  'etc/skel/link': { link: '.bashrc' },
};
const make = (text: string) => operation(user, text);

describe('user', () => {
  it('is made with group, home and locked password', async () => {
    const { guest, warnings } = await customized(TREE, [make('alice')]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/passwd')).toBe(`${PASSWD}alice:x:1001:1001::/home/alice:/bin/bash\n`);
    expect(await textOf(guest, '/etc/shadow')).toBe(`${SHADOW}alice:!:${DAY}:0:99999:7:::\n`);
    expect(await textOf(guest, '/etc/group')).toBe(`${GROUP}alice:x:1001:\n`);
    expect(await textOf(guest, '/etc/gshadow')).toBe(`${GSHADOW}alice:!::\n`);
    expect(await textOf(guest, '/etc/subuid')).toBe('debian:100000:65536\nalice:165536:65536\n');
    expect(await textOf(guest, '/etc/subgid')).toBe('debian:100000:65536\nalice:165536:65536\n');
    expect(await guest.stat('/etc/shadow')).toMatchObject({ mode: 0o640 });
    expect(warnings).toEqual([]);
  });

  it('gets a copy of /etc/skel that is its own, without set-uid', async () => {
    const { guest } = await customized(TREE, [make('alice')]);
    await using _ = guest;
    const own = { uid: 1001, gid: 1001 };
    expect(await guest.stat('/home/alice')).toMatchObject({ ...own, type: 'directory', mode: 0o750 });
    expect(await guest.stat('/home/alice/.bashrc')).toMatchObject({ ...own, mode: 0o644 });
    expect(await guest.stat('/home/alice/bin')).toMatchObject({ ...own, mode: 0o755 });
    expect(await guest.stat('/home/alice/bin/tool')).toMatchObject({ ...own, mode: 0o755 });
    expect(await guest.readLink('/home/alice/link')).toBe('.bashrc');
    expect(await guest.lstat('/home/alice/link')).toMatchObject({ type: 'symlink', ...own });
    expect(await textOf(guest, '/home/alice/.bashrc')).toBe('alias l=ls\n');
  });

  it('gets all that is asked for', async () => {
    await using scratch = await scratchFolder();
    const key = join(scratch.path, 'key.pub');
    await writeFile(key, PUBLIC_KEYS.ed25519);
    const text = `bob:uid=1500:groups=docker,users:sudo:key=${key}:shell=/bin/sh:home=/srv/people/bob:comment=Bob B:password=random`;
    const { guest, warnings, secrets } = await customized(TREE, [make(text)]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/passwd')).toContain('\nbob:x:1500:1500:Bob B:/srv/people/bob:/bin/sh\n');
    expect(await textOf(guest, '/etc/group')).toBe(
      GROUP.replace('sudo:x:27:debian', 'sudo:x:27:debian,bob')
        .replace('docker:x:998:', 'docker:x:998:bob')
        .replace('users:x:100:', 'users:x:100:bob') + 'bob:x:1500:\n',
    );
    expect(await textOf(guest, '/etc/gshadow')).toContain('sudo:*::debian,bob\n');
    expect(await textOf(guest, '/srv/people/bob/.ssh/authorized_keys')).toBe(PUBLIC_KEYS.ed25519);
    expect(await guest.stat('/srv/people/bob/.ssh')).toMatchObject({ mode: 0o700, uid: 1500, gid: 1500 });
    expect(await guest.stat('/srv/people')).toMatchObject({ mode: 0o755, uid: 0 });
    expect(await textOf(guest, '/etc/shadow')).toMatch(/\nbob:\$y\$/);
    expect(secrets).toEqual([['password of bob', expect.stringMatching(/^\w{16}$/)]]);
    expect(warnings).toEqual([]);
  });

  it('with a key and no password can log in where sshd takes ! for locked', async () => {
    const value = v.parse(user.schema, { name: 'carol', keys: [`string:${PUBLIC_KEYS.rsa.trim()}`] });
    const { guest } = await customized(TREE, [
      async (guest, context) => {
        await user.apply(guest, value, context);
      },
    ]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/shadow')).toContain('\ncarol:*:');
    expect(await textOf(guest, '/home/carol/.ssh/authorized_keys')).toBe(PUBLIC_KEYS.rsa);
  });

  it('can be used by what comes after it', async () => {
    const later = [
      operation(password, 'alice:disabled'),
      operation(sshInject, `alice:string:${PUBLIC_KEYS.rsa}`),
    ];
    const { guest } = await customized(TREE, [make('alice'), make('bob'), ...later]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/shadow')).toContain('\nalice:*:');
    expect(await textOf(guest, '/etc/passwd')).toContain('\nbob:x:1002:1002:');
    expect(await guest.stat('/home/alice/.ssh/authorized_keys')).toMatchObject({ uid: 1001, mode: 0o600 });
  });

  it('may use sudo without a password by a rule of its own', async () => {
    const { guest, warnings } = await customized(TREE, [make('d.e:sudo-nopasswd')]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/sudoers.d/d+e')).toBe('d.e ALL=(ALL:ALL) NOPASSWD: ALL\n');
    expect(await guest.stat('/etc/sudoers.d/d+e')).toMatchObject({ mode: 0o440, uid: 0, gid: 0 });
    expect(await textOf(guest, '/etc/group')).toBe(`${GROUP}d.e:x:1001:\n`);
    expect(warnings).toEqual([]);
  });

  it('shares that rule with nobody whose name is alike', async () => {
    const { guest } = await customized(TREE, [make('d.e:sudo-nopasswd'), make('d_e:sudo-nopasswd')]);
    await using _ = guest;
    const rules = await Promise.all(
      (await guest.list('/etc/sudoers.d')).map((name) => textOf(guest, `/etc/sudoers.d/${name}`)),
    );
    expect(rules.sort()).toEqual(['d.e', 'd_e'].map((name) => `${name} ALL=(ALL:ALL) NOPASSWD: ALL\n`));
  });

  it('has no file for a home', async () => {
    await expect(customized(TREE, [make('alice:home=/etc/passwd')])).rejects.toThrow(
      /\/etc\/passwd in .* is no folder/,
    );
  });

  it('is told what sudo lacks in the guest', async () => {
    const without = Object.fromEntries(Object.entries(TREE).filter(([path]) => path !== 'etc/sudoers'));
    const wheel = {
      ...TREE,
      'etc/group': 'wheel:x:10:\n',
      'etc/sudoers': '# %wheel ALL=(ALL:ALL) ALL\n',
    };
    const cases = [
      [without, 'a:sudo-nopasswd', /sudo is not installed/],
      [without, 'a:sudo', /sudo is not installed/],
      [wheel, 'a:sudo', /no rule for the group wheel/],
      [wheel, 'a:sudo-nopasswd', /does not include \/etc\/sudoers\.d/],
    ] as const;
    for (const [tree, text, warning] of cases) {
      const { guest, warnings } = await customized(tree, [make(text)]);
      await using _ = guest;
      expect(warnings).toEqual([expect.stringMatching(warning)]);
    }
  });

  it('keeps a home that exists, and warns of it and of a missing shell', async () => {
    const tree = { ...TREE, 'home/alice/file': 'x' };
    const { guest, warnings } = await customized(tree, [make('alice:shell=/bin/zsh')]);
    await using _ = guest;
    expect(await guest.list('/home/alice')).toEqual(['file']);
    expect(await guest.stat('/home/alice')).toMatchObject({ uid: 0 });
    expect(warnings).toEqual([expect.stringContaining('/home/alice'), expect.stringContaining('/bin/zsh')]);
  });

  it('works where there is little: no shadow, no gshadow, no skel, no login.defs', async () => {
    const tree = {
      ...GUEST_TREES.CIRROS,
      'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
      'etc/group': 'root:x:0:\n',
    };
    const { guest } = await customized(tree, [make('alice')]);
    await using _ = guest;
    expect(await textOf(guest, '/etc/passwd')).toContain('\nalice:!:1000:1000::/home/alice:/bin/sh\n');
    expect(await guest.stat('/home/alice')).toMatchObject({ mode: 0o700, uid: 1000 });
    expect(await guest.exists('/etc/shadow')).toBe(false);
  });

  it.each([
    ['debian', 'TSB_GUEST', /user debian already/],
    ['docker', 'TSB_GUEST', /group docker already/],
    ['alice:groups=nothing', 'TSB_GUEST', /no group nothing/],
    ['alice:uid=1000', 'TSB_GUEST', /uid 1000/],
    ['alice:key=/nonexistent', 'TSB_NOT_FOUND', /no such file/],
    ['alice:password=file:/nonexistent', 'TSB_NOT_FOUND', /no such file/],
    ['Alice', 'TSB_USAGE', /a name has/],
  ])('%j is an error', async (text, code, message) => {
    const failing = Promise.resolve().then(() => customized(TREE, [make(text)]));
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringMatching(message) as unknown });
  });

  it('needs a group for sudo', async () => {
    const tree = { ...TREE, 'etc/group': 'root:x:0:\n' };
    await expect(customized(tree, [make('alice:sudo')])).rejects.toMatchObject({
      code: 'TSB_GUEST',
      hint: expect.stringContaining('--install sudo') as unknown,
    });
  });

  it('gives up on a skeleton that has no end', async () => {
    const deep = Array.from({ length: 40 }, () => 'd').join('/');
    const tree = { ...TREE, [`etc/skel/${deep}`]: { dir: 0o755 } };
    await expect(customized(tree, [make('alice')])).rejects.toMatchObject({
      details: { reason: 'too-large' },
    });
  });
});
