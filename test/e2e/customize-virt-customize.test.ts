import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openExtFiles } from '../../src/guest/ext/open-ext-guest.js';
import type { GuestFiles } from '../../src/guest/guest.js';
import { sliceSource } from '../../src/io/byte-source.js';
import { openFileSource } from '../../src/io/file-source.js';
import { DEBIAN12_SIZE, debian12Repository } from '../helpers/debian12-repository.js';
import { MIB, run } from '../helpers/disk.js';
import { type Desk, newDesk, resultOf } from '../helpers/e2e.js';
import { PUBLIC_KEYS } from '../helpers/ssh-keys.js';
import { type TreeDigest, hostDigest, plainDigest, treeDigest } from '../helpers/tree-digest.js';

const ROOT_AT = 129 * MIB;
const TCG = { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' };
const PASSWORDS = { root: 'correct horse', web: 'battery: staple', deploy: 'x ü"\'$(id)' };

let desk: Desk;
let folder: string;

/** Files of this machine that are brought into the guest. */
function makeLocal(): void {
  const local = (name: string): string => join(folder, name);
  for (const [user, text] of Object.entries(PASSWORDS)) writeFileSync(local(user), `${text}\nsecond line\n`);
  writeFileSync(local('id.pub'), PUBLIC_KEYS.ed25519);
  writeFileSync(local('id2.pub'), PUBLIC_KEYS.rsa);
  writeFileSync(local('first.sh'), '#!/bin/bash\necho first boot\n');
  writeFileSync(local('tool'), '#!/bin/sh\necho tool\n');
  chmodSync(local('tool'), 0o755);
  mkdirSync(local('site/deep'), { recursive: true });
  writeFileSync(local('site/index.html'), 'x'.repeat(100_000));
  chmodSync(local('site/deep'), 0o2750);
  symlinkSync('../index.html', local('site/deep/link'));
}

/** What both are asked for, but for what virt-customize 1.48 only does by programs of the guest. */
function operations(own: { user: readonly string[]; chown: readonly string[] }): string[] {
  const local = (name: string): string => join(folder, name);
  return [
    ...['--hostname', 'web1.example.com', '--timezone', 'Europe/Berlin'],
    ...['--root-password', `file:${local('root')}`],
    ...['--mkdir', '/srv/data/deep', '--write', '/etc/motd:hello\nyou', '--append-line', '/etc/motd:more'],
    ...['--upload', `${local('tool')}:/usr/local/bin/tool`, '--upload', `${local('tool')}:/srv/data`],
    ...[
      '--copy-in',
      `${local('site')}:/srv`,
      '--copy',
      '/etc/ssh:/srv/data/ssh',
      '--move',
      '/etc/motd:/srv/motd',
    ],
    ...['--link', '/srv/motd:/etc/motd', '--link', '../motd:/srv/data/l1:/srv/data/l2'],
    ...['--edit', '/etc/ssh/sshd_config:s/^#?PermitRootLogin.*/PermitRootLogin yes/'],
    ...['--edit', '/etc/default/grub.d/50-console.cfg:s/TIMEOUT=1/TIMEOUT=3/'],
    ...['--truncate', '/etc/issue', '--truncate-recursive', '/var/log', '--touch', '/srv/touched'],
    ...['--delete', '/usr/share/doc/b*', '--chmod', '0600:/etc/issue.net', '--chmod', '01777:/srv/data/deep'],
    ...[
      '--firstboot',
      local('first.sh'),
      '--firstboot-command',
      'echo second',
      '--firstboot-install',
      'hello',
    ],
    ...['--ssh-inject', `root:file:${local('id.pub')}`],
    ...own.user,
    ...['--password', `web:file:${local('web')}`, '--ssh-inject', `web:file:${local('id2.pub')}`],
    ...['--password', `deploy:locked:file:${local('deploy')}`],
    ...own.chown,
  ];
}

const OURS = {
  user: ['--user', 'web:uid=1500:groups=users:sudo:shell=/bin/sh:comment=Web server', '--user', 'deploy'],
  chown: ['--chown', '1500:33:/srv/site/index.html'],
};
const THEIRS = {
  user: [
    ...['--run-command', "useradd -m -U -u 1500 -G users,sudo -s /bin/sh -c 'Web server' web"],
    ...['--run-command', 'useradd -m -U -s /bin/bash deploy'],
  ],
  chown: ['--run-command', 'chown 1500:33 /srv/site/index.html'],
};

async function withRoot<T>(disk: string, look: (files: GuestFiles) => Promise<T>): Promise<T> {
  await using source = await openFileSource(disk);
  return await look(await openExtFiles(sliceSource(source, ROOT_AT, DEBIAN12_SIZE - ROOT_AT - MIB)));
}

/** What a disk has at a path: what the tree says of it and, of a file, its text. */
interface Seen {
  readonly line: string | undefined;
  readonly text: string;
}

/** A difference, why it is there, and what must hold all the same. */
interface Explained {
  readonly path: RegExp;
  readonly why: string;
  readonly holds: (ours: Seen, theirs: Seen) => boolean;
}

const onlyOurs = (ours: Seen, theirs: Seen): boolean => ours.line !== undefined && theirs.line === undefined;
const onlyTheirs = (ours: Seen, theirs: Seen): boolean => onlyOurs(theirs, ours);
/** Whether what `change` makes of theirs is ours. */
const changed =
  (change: (text: string) => string) =>
  (ours: Seen, theirs: Seen): boolean =>
    ours.text !== theirs.text && change(theirs.text) === ours.text;
const sameBut =
  (change: (line: string) => string) =>
  (ours: Seen, theirs: Seen): boolean =>
    theirs.line !== undefined && ours.line === change(theirs.line);
const uid = (text: string): string => text.replaceAll('1501', '1000');

const EXPLAINED: readonly Explained[] = [
  {
    path: /^\/etc\/shadow$/,
    why: 'every password has a salt of its own, and is of today (virt-customize keeps the day of the old one); a locked one begins with one ! here, which `passwd -u` takes away, and with two there',
    holds: (ours, theirs) => sameAccounts(ours.text, theirs.text.replace('deploy:!!', 'deploy:!')),
  },
  {
    path: /^\/etc\/(passwd|group)$/,
    why: 'a user gets the first free uid, as from adduser; useradd takes the one behind the highest in use',
    holds: changed(uid),
  },
  {
    path: /^\/home\/(deploy|web)$/,
    why: "a home is its user's alone where login.defs says nothing of HOME_MODE; useradd goes by UMASK then",
    holds: sameBut((line) => uid(line).replace('755', '700')),
  },
  { path: /^\/home\/deploy\/\.\w+$/, why: 'the uid, as above', holds: sameBut(uid) },
  {
    path: /^\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-$/,
    why: 'useradd keeps the files as they were',
    holds: onlyTheirs,
  },
  {
    path: /^\/etc\/hosts$/,
    why: "the short name stays a name of the machine too, as Debian's installer has it",
    holds: changed((text) => text.replace('127.0.1.1 web1.example.com', '127.0.1.1 web1.example.com web1')),
  },
  {
    path: /^\/etc\/timezone$/,
    why: "virt-customize leaves the old zone in it, and tzdata's next update would take that",
    holds: changed(() => 'Europe/Berlin\n'),
  },
  {
    path: /^\/tmp\/builder\.log$/,
    why: 'its log of programs run in the guest: nothing ran here',
    holds: onlyTheirs,
  },
  {
    path: /^\/var\/lib\/systemd\/random-seed$/,
    why: 'virt-customize writes a random one of its own; a build has done so before',
    holds: ({ line = '' }, theirs) => line.startsWith('file 600 0:0 ') && theirs.line !== line,
  },
  {
    path: /^\/usr\/lib\/tsbuilder-firstboot(\/|$)|^\/etc\/systemd\/.*tsbuilder-firstboot|^\/etc\/systemd\/system-preset$/,
    why: 'the first boot service of tsbuilder',
    holds: onlyOurs,
  },
  {
    path: /^\/usr\/lib\/virt-sysprep(\/|$)|^\/etc\/(init|rc\d)\.d\/(S99)?guestfs-firstboot$|^\/(etc|usr\/lib)\/systemd\/.*guestfs-firstboot\.service$/,
    why: 'the first boot service of libguestfs',
    holds: onlyTheirs,
  },
];

/** Whether both have the same lines of shadow(5), with hashes of the same passwords by the same method in the same state. */
function sameAccounts(ours: string, theirs: string): boolean {
  const [a, b] = [ours, theirs].map((text) => text.split('\n').map((line) => line.split(':')));
  return (
    a?.length === b?.length &&
    (a ?? []).every(([user, field = '', ...rest], index) => {
      const [otherUser, other = '', ...others] = b?.[index] ?? [];
      const [[day = '', ...limits], [otherDay = '', ...otherLimits]] = [rest, others];
      if (user !== otherUser || limits.join() !== otherLimits.join()) return false;
      const password = PASSWORDS[user as keyof typeof PASSWORDS] as string | undefined;
      if (password === undefined) return field === other && day === otherDay;
      return Number(day) >= Number(otherDay) && sameHash(password, [field, other]);
    })
  );
}

function sameHash(password: string, fields: readonly [string, string]): boolean {
  const [ours, theirs] = fields.map((field) => /^(!?)(\$\w+\$)/.exec(field)?.[0]);
  const right = fields.map((field) => {
    const hash = field.replace(/^!/, '');
    return (
      hash ===
      execFileSync('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', password, hash], { encoding: 'utf8' })
    );
  });
  return ours !== undefined && ours === theirs && right.every(Boolean);
}

const NAMES = ['ours', 'theirs'] as const;
const trees: { ours: TreeDigest; theirs: TreeDigest } = { ours: new Map(), theirs: new Map() };
const disk = (name: 'ours' | 'theirs'): string => desk.file(`${name}.img`);

beforeAll(async () => {
  const repository = await debian12Repository();
  desk = await newDesk();
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-compare-'));
  makeLocal();
  const env = { TSBUILDER_DATA_DIR: repository.dataDir };
  resultOf(await desk.run(['debian-12', '-o', disk('ours'), '--json'], { env }));
  run('cp', ['--sparse=always', disk('ours'), disk('theirs')]);
  resultOf(await desk.run(['customize', disk('ours'), '--no-backup', '--json', ...operations(OURS)]));
  const args = ['--format', 'raw', '-a', disk('theirs'), '--no-network', ...operations(THEIRS)];
  await promisify(execFile)('virt-customize', args, { env: { ...process.env, ...TCG } });
  for (const name of NAMES) trees[name] = await withRoot(disk(name), (files) => treeDigest(files));
}, 2_400_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await desk[Symbol.asyncDispose]();
});

/** What the disk has at each of `paths`. */
function look(name: 'ours' | 'theirs', paths: readonly string[]): Promise<Seen[]> {
  return withRoot(disk(name), (files) =>
    Promise.all(
      paths.map(async (path) => {
        const line = trees[name].get(path);
        return { line, text: line?.startsWith('file') ? (await files.readFile(path)).toString() : '' };
      }),
    ),
  );
}

describe('the real debian-12 disk', () => {
  it('is what virt-customize makes of it, but for what is explained here', async () => {
    const { ours, theirs } = trees;
    expect(ours.size).toBeGreaterThan(10_000);
    const paths = [...new Set([...ours.keys(), ...theirs.keys()])].filter(
      (path) => ours.get(path) !== theirs.get(path),
    );
    const [mine, other] = [await look('ours', paths), await look('theirs', paths)];
    const unexplained = paths.flatMap((path, index) => {
      const [a, b] = [mine[index], other[index]];
      const found = EXPLAINED.find((each) => each.path.test(path));
      return a && b && found?.holds(a, b) ? [] : [`${path}: ${JSON.stringify(a)} | ${JSON.stringify(b)}`];
    });
    expect(unexplained).toEqual([]);
    const idle = EXPLAINED.filter((each) => !paths.some((path) => each.path.test(path)));
    expect(idle.map(({ why }) => why)).toEqual([]);
  });

  it('has all that was asked for, on both', () => {
    for (const tree of [trees.ours, trees.theirs]) {
      const line = (path: string): string | undefined => tree.get(path);
      expect(line('/usr/local/bin/tool')).toMatch(/^file 755 0:0 x1 /);
      expect(line('/srv/data/ssh/sshd_config')).not.toBe(line('/etc/ssh/sshd_config'));
      expect(line('/etc/motd')).toBe('symlink 777 0:0 -> /srv/motd');
      expect(line('/srv/data/l2')).toBe('symlink 777 0:0 -> ../motd');
      expect(line('/srv/site/deep')).toBe('directory 2750 0:0');
      expect(line('/srv/site/index.html')).toMatch(/^file 644 1500:33 /);
      expect(line('/srv/data/deep')).toBe('directory 1777 0:0');
      expect(line('/home/web/.ssh/authorized_keys')).toMatch(/^file 600 1500:1500 /);
      expect(line('/root/.ssh/authorized_keys')).toMatch(/^file 600 0:0 /);
      expect(line('/etc/localtime')).toMatch(/Europe\/Berlin$/);
      expect(line('/usr/share/doc/bash')).toBeUndefined();
    }
  });

  it('has first boot scripts that do the same', async () => {
    const text = async (name: 'ours' | 'theirs', home: string): Promise<string[]> => {
      const paths = [...trees[name].keys()].filter((path) => path.startsWith(`${home}/scripts/`));
      return (await look(name, paths.sort())).map((seen) => seen.text);
    };
    const [first, second, install] = await text('ours', '/usr/lib/tsbuilder-firstboot');
    const [first2, second2, install2] = await text('theirs', '/usr/lib/virt-sysprep');
    expect(first).toBe(first2);
    expect(second?.split('\n')).toContain(second2);
    for (const script of [install, install2]) expect(script).toMatch(/apt-get .*install '?hello'?\s*$/);
  });

  it('is sound for e2fsck, and reads the same through guestfish', async () => {
    run('e2fsck', ['-fn', `${disk('ours')}?offset=${ROOT_AT}`]);
    const places = ['/etc', '/srv', '/root', '/home', '/usr/lib/tsbuilder-firstboot'];
    const tar = (index: number): string => join(folder, `${index}.tar`);
    const commands = places.flatMap((place, index) => [':', 'tar-out', place, tar(index)]);
    await promisify(execFile)(
      'guestfish',
      ['--ro', '--format=raw', '-a', disk('ours'), '-m', '/dev/sda2', '--', 'echo', 'reading', ...commands],
      { env: { ...process.env, ...TCG } },
    );
    for (const [index, place] of places.entries()) {
      const out = join(folder, `out${index}`);
      mkdirSync(out);
      run('tar', ['-xpf', tar(index), '--numeric-owner', '--same-owner', '-C', out]);
      expect(await hostDigest(out, place)).toEqual(plainDigest(trees.ours, place));
    }
  }, 400_000);
});
