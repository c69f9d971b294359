import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { addFirstbootScript } from '../../../src/customize/firstboot/add-script.js';
import { installScript } from '../../../src/customize/firstboot/install-script.js';
import { RUNNER_TEXT } from '../../../src/customize/firstboot/runner.js';
import { firstboot, firstbootCommand, firstbootInstall } from '../../../src/customize/ops/firstboot.js';
import type { PackageManager } from '../../../src/guest/inspect.js';
import { type TreeSpec, OFFSET, run, scratchPath } from '../../helpers/guest-image.js';
import { GUEST_TREES, elf } from '../../helpers/guest-trees.js';
import { applied, operation, release, textOf } from '../../helpers/identity-guests.js';

const HOME = '/usr/lib/tsbuilder-firstboot';
const CIRROS = { ...GUEST_TREES.CIRROS, 'etc/rc3.d/S99-logo': '' };
const DEBIAN_7 = {
  ...release('debian', '7'),
  'sbin/init': elf(62),
  'etc/inittab': '',
  'etc/init.d/rc.local': '',
  'etc/rc.local': { data: '#!/bin/sh -e\n# local\n\nexit 0\n', mode: 0o644 },
};
const RHEL_5 = {
  'etc/redhat-release': 'Red Hat Enterprise Linux Server release 5.11 (Tikanga)\n',
  'sbin/init': elf(62),
  'etc/inittab': '',
  'etc/rc.local': { link: 'rc.d/rc.local' },
  'etc/rc.d/rc.local': { data: '#!/bin/sh\ntouch /var/lock/subsys/local\n', mode: 0o755 },
};
const LINE = `[ ! -f ${HOME}/run ] || /bin/sh ${HOME}/run || : # tsbuilder-firstboot`;
const command = (text: string) => operation(firstbootCommand, text);

/** The guest's files in a folder of the host. */
function extract(path: string): string {
  const folder = scratchPath('root');
  mkdirSync(folder);
  run('debugfs', ['-R', `rdump / ${folder}`, `${path}?offset=${OFFSET}`]);
  return folder;
}

/** A root folder with the scripts of a guest that `tree` makes; returns how to boot it. */
async function installed(tree: TreeSpec, ...scripts: string[]): Promise<string> {
  const { guest, path } = await applied(tree, ...scripts.map(command));
  await guest[Symbol.asyncDispose]();
  return extract(path);
}

function boot(root: string, shell = 'sh'): string {
  return execFileSync(shell, [join(root, HOME, 'run')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const log = (root: string): string => readFileSync(join(root, 'var/log/tsbuilder-firstboot.log'), 'utf8');

/** Every file below a folder that has our name. */
const ours = (root: string): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes('tsbuilder-firstboot'))
    .sort();

describe('the service', () => {
  it.each<[string, TreeSpec, Record<string, RegExp>]>([
    [
      'Debian 12',
      GUEST_TREES.DEBIAN_12,
      {
        '/etc/systemd/system/tsbuilder-firstboot.service':
          /ExecStart=\/bin\/sh \/usr\/lib\/tsbuilder-firstboot\/run\n/,
        '/etc/systemd/system/multi-user.target.wants/tsbuilder-firstboot.service':
          /WantedBy=multi-user.target/,
        '/etc/systemd/system-preset/00-tsbuilder-firstboot.preset': /^enable tsbuilder-firstboot.service\n$/,
      },
    ],
    [
      'Ubuntu 12.04',
      GUEST_TREES.UBUNTU_1204,
      { '/etc/init/tsbuilder-firstboot.conf': /^start on stopped rc RUNLEVEL=\[2345\]$/m },
    ],
    ['CentOS 6', GUEST_TREES.CENTOS_6, { '/etc/init/tsbuilder-firstboot.conf': /^exec \/bin\/sh/m }],
    [
      'Debian 7',
      DEBIAN_7,
      { '/etc/rc.local': /^#!\/bin\/sh -e\n\[.* # tsbuilder-firstboot\n# local\n\nexit 0\n$/ },
    ],
    ['RHEL 5', RHEL_5, { '/etc/rc.d/rc.local': /^#!\/bin\/sh\n\[ ! -f .*\ntouch/ }],
    [
      'openSUSE 11.4',
      GUEST_TREES.OPENSUSE_11,
      { '/etc/init.d/after.local': /^#!\/bin\/sh\n\[ ! -f .* # tsbuilder-firstboot\n$/ },
    ],
    [
      'Alpine',
      { ...GUEST_TREES.ALPINE, 'sbin/openrc-run': elf(62) },
      {
        '/etc/init.d/tsbuilder-firstboot': /^#!\/sbin\/openrc-run\n/,
        '/etc/runlevels/default/tsbuilder-firstboot': /^#!\/sbin\/openrc-run\n/,
      },
    ],
    [
      'old Gentoo',
      { ...release('gentoo', ''), 'sbin/init': elf(62), 'sbin/rc': elf(62), 'sbin/runscript': elf(62) },
      { '/etc/runlevels/default/tsbuilder-firstboot': /^#!\/sbin\/runscript\n/ },
    ],
    ['CirrOS', CIRROS, { '/etc/rc3.d/S99-tsbuilder-firstboot': /exec \/bin\/sh/ }],
    [
      "Buildroot's BusyBox",
      {
        ...release('buildroot', ''),
        'bin/busybox': elf(62),
        'sbin/init': { link: '../bin/busybox' },
        'etc/init.d/rcS': '',
      },
      { '/etc/init.d/S99tsbuilder-firstboot': /exec \/bin\/sh/ },
    ],
  ])('is started by the init of %s, and only once entered', async (_name, tree, files) => {
    const { guest, path } = await applied(tree, command('echo one'), command('echo two'));
    await using _ = guest;
    for (const [file, text] of Object.entries(files)) {
      expect(await textOf(guest, file)).toMatch(text);
      if (/init\.d|rc3\.d|local$/.test(file)) expect((await guest.stat(file)).mode & 0o111).toBe(0o111);
    }
    expect(await guest.list(`${HOME}/scripts`)).toEqual(['0001-command', '0002-command']);
    expect(await guest.stat(`${HOME}/scripts`)).toMatchObject({ mode: 0o700, uid: 0, gid: 0 });
    expect(await guest.stat(`${HOME}/scripts/0001-command`)).toMatchObject({ mode: 0o700, uid: 0, gid: 0 });
    const root = extract(path);
    boot(root);
    expect(log(root)).toMatch(/one[^]*two[^]*finished/);
    expect(ours(root)).toEqual(['var/log/tsbuilder-firstboot.log']);
    for (const name of ['etc/rc.local', 'etc/rc.d/rc.local', 'etc/init.d/after.local'])
      if (existsSync(join(root, name)))
        expect(readFileSync(join(root, name), 'utf8')).not.toContain('tsbuilder');
  });

  it('is one that systemd understands', async () => {
    const { guest, path } = await applied(GUEST_TREES.DEBIAN_12, operation(firstbootInstall, 'curl'));
    await guest[Symbol.asyncDispose]();
    const units = join(extract(path), 'etc/systemd/system');
    const unit = join(units, 'tsbuilder-firstboot.service');
    expect(run('systemd-analyze', ['verify', '--man=no', unit])).toBe('');
    expect(readFileSync(`${unit}.d/network.conf`, 'utf8')).toContain('Wants=network-online.target');
    const folder = scratchPath('units');
    mkdirSync(folder);
    writeFileSync(join(folder, 'bad.service'), '[Service]\nType=oneshot\nExecStat=/bin/sh\n');
    expect(() => run('systemd-analyze', ['verify', '--man=no', join(folder, 'bad.service')])).toThrow(
      /ExecStat/,
    );
  });

  it.each([
    ['/lib/systemd/system/graphical.target', ['multi-user.target.wants']],
    ['kiosk.target', ['kiosk.target.wants', 'multi-user.target.wants']],
  ])('is wanted where a guest with default.target -> %s boots to', async (target, folders) => {
    const { guest } = await applied(
      { ...GUEST_TREES.DEBIAN_12, 'etc/systemd/system/default.target': { link: target } },
      command('true'),
    );
    await using _ = guest;
    const names = await guest.list('/etc/systemd/system');
    expect(names.filter((name) => name.endsWith('.wants'))).toEqual(folders);
    for (const folder of folders) {
      expect(await guest.readLink(`/etc/systemd/system/${folder}/tsbuilder-firstboot.service`)).toBe(
        '/etc/systemd/system/tsbuilder-firstboot.service',
      );
    }
  });

  it.each<[string, TreeSpec, RegExp]>([
    ['no known init', { 'etc/debian_version': '12', 'bin/sh': elf(62) }, /init system is not known/],
    [
      'no rc.local',
      { ...DEBIAN_7, 'etc/init.d/rc.local': { dir: 0o755 }, 'etc/rc.local': '#!/usr/bin/perl\n' },
      /no shell script/,
    ],
    ['no OpenRC shell', GUEST_TREES.ALPINE, /no \/sbin\/runscript/],
    ['no folder for BusyBox', { 'bin/busybox': elf(62), 'sbin/init': { link: '../bin/busybox' } }, /neither/],
  ])('is refused to a guest with %s', async (_name, tree, message) => {
    await expect(applied(tree, command('true'))).rejects.toThrow(message);
  });

  it('leaves the one of libguestfs alone', async () => {
    const theirs = 'etc/systemd/system/multi-user.target.wants/guestfs-firstboot.service';
    const root = await installed({ ...GUEST_TREES.DEBIAN_12, [theirs]: 'theirs' }, 'true');
    boot(root);
    expect(readFileSync(join(root, theirs), 'utf8')).toBe('theirs');
  });
});

describe('the runner', () => {
  it.each(['dash', 'bash'])('is a script for %s', (shell) => {
    const path = scratchPath('run');
    writeFileSync(path, RUNNER_TEXT);
    expect(run(shell, ['-n', path])).toBe('');
  });

  it.each(['dash', 'bash'])(
    'runs scripts in order with %s, each once, and keeps those that fail',
    async (shell) => {
      const marks = scratchPath('marks');
      const root = await installed(
        GUEST_TREES.DEBIAN_12,
        `echo first >>${marks}; echo to the log; cat`,
        `echo second >>${marks}; exit 3`,
        `echo third >>${marks}; pwd; echo $HOME >&2`,
      );
      expect(boot(root, shell)).toMatch(/0002-command: failed with status 3/);
      expect(readFileSync(marks, 'utf8')).toBe('first\nsecond\nthird\n');
      expect(log(root).replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /gm, '')).toBe(
        [
          '0001-command: started',
          'to the log',
          '0001-command: done',
          '0002-command: started',
          `0002-command: failed with status 3, kept as ${root}${HOME}/scripts/0002-command.failed`,
          '0003-command: started',
          '/',
          '/root',
          '0003-command: done',
          'finished',
          '',
        ].join('\n'),
      );
      expect(statSync(join(root, 'var/log/tsbuilder-firstboot.log')).mode & 0o777).toBe(0o600);
      expect(readdirSync(join(root, HOME))).toEqual(['scripts']);
      expect(readdirSync(join(root, HOME, 'scripts'))).toEqual(['0002-command.failed']);
      expect(ours(root).filter((name) => name.startsWith('etc'))).toEqual([]);
    },
  );

  it('has on the disk what came of a script before the next begins, and in the end that it is gone', async () => {
    const seen = scratchPath('seen');
    const root = await installed(GUEST_TREES.DEBIAN_12, 'true', 'false');
    const program = join(root, HOME, 'run');
    // What the folder holds at each flush.
    const flush = `sync() { echo $(ls "$scripts" 2>/dev/null) >>${seen}; }`;
    execFileSync('sh', ['-c', `${flush}; . "$0"`, program], { stdio: 'ignore' });
    expect(readFileSync(seen, 'utf8').split('\n')).toEqual([
      '0001-command.running 0002-command',
      '0002-command',
      '0002-command.running',
      '0002-command.failed',
      '0002-command.failed',
      '',
    ]);
    expect(existsSync(program)).toBe(false);
  });

  it('does not run a script again that a restart cut off, and goes on behind it', async () => {
    const marks = scratchPath('marks');
    const root = await installed(
      GUEST_TREES.DEBIAN_12,
      `echo 1 >>${marks}; kill -9 $PPID`,
      `echo 2 >>${marks}`,
    );
    expect(() => boot(root)).toThrow();
    expect(readdirSync(join(root, HOME, 'scripts'))).toEqual(['0001-command.running', '0002-command']);
    boot(root);
    expect(readFileSync(marks, 'utf8')).toBe('1\n2\n');
    expect(readdirSync(join(root, HOME, 'scripts'))).toEqual(['0001-command.interrupted']);
    expect(log(root)).toMatch(/0001-command: was cut off by a restart/);
  });

  it('leaves the rest to the next boot when a script stops the machine', async () => {
    const marks = scratchPath('marks');
    const tools = scratchPath('tools');
    mkdirSync(tools);
    const root = await installed(
      GUEST_TREES.DEBIAN_12,
      `echo 1 >>${marks}; touch ${tools}/stop`,
      `echo 2 >>${marks}`,
    );
    // The runner's PATH is its own, so the system's answer is put into its text.
    const runner = join(root, HOME, 'run');
    const fake = `systemctl() { [ -f ${tools}/stop ] && echo stopping; }\n`;
    writeFileSync(runner, readFileSync(runner, 'utf8').replace('say() {', `${fake}say() {`));
    boot(root);
    expect(readFileSync(marks, 'utf8')).toBe('1\n');
    expect(existsSync(join(root, 'etc/systemd/system/tsbuilder-firstboot.service'))).toBe(true);
    run('rm', [join(tools, 'stop')]);
    boot(root);
    expect(readFileSync(marks, 'utf8')).toBe('1\n2\n');
    expect(ours(root)).toEqual(['var/log/tsbuilder-firstboot.log']);
  });

  it('runs a script without #! by the shell, and one with another interpreter by that', async () => {
    const script = scratchPath('plain script');
    const other = scratchPath('other.sh');
    writeFileSync(script, 'echo plain\n');
    writeFileSync(other, '#!/usr/bin/env bash\necho "bash ${BASH_VERSION:+yes}"\n');
    const { guest, path, warnings } = await applied(
      GUEST_TREES.DEBIAN_12,
      operation(firstboot, script),
      operation(firstboot, other),
    );
    await guest[Symbol.asyncDispose]();
    expect(warnings).toEqual([]);
    const root = extract(path);
    expect(readdirSync(join(root, HOME, 'scripts'))).toEqual([
      expect.stringMatching(/^0001-\d+-plain-script$/) as string,
      expect.stringMatching(/^0002-\d+-other.sh$/) as string,
    ]);
    boot(root);
    expect(log(root)).toMatch(/plain\n[^]*bash yes\n/);
  });

  it('only touches the local script that has its line', async () => {
    const root = await installed(DEBIAN_7, 'true');
    const target = join(root, 'elsewhere');
    writeFileSync(target, `${LINE}\n`);
    mkdirSync(join(root, 'etc/rc.d'));
    symlinkSync(target, join(root, 'etc/rc.d/rc.local'));
    chmodSync(join(root, 'etc/rc.local'), 0o755);
    expect(run('sh', ['-n', join(root, 'etc/rc.local')])).toBe('');
    boot(root);
    expect(readFileSync(join(root, 'etc/rc.local'), 'utf8')).toBe('#!/bin/sh -e\n# local\n\nexit 0\n');
    expect(readFileSync(target, 'utf8')).toBe(`${LINE}\n`);
  });
});

describe('scripts', () => {
  it('are numbered on behind those that are there, done or not', async () => {
    const { guest } = await applied(
      {
        ...GUEST_TREES.DEBIAN_12,
        'usr/lib/tsbuilder-firstboot/scripts/0007-old.failed': '',
        'usr/lib/tsbuilder-firstboot/scripts/readme': '',
      },
      command('true'),
    );
    await using _ = guest;
    expect(await guest.list(`${HOME}/scripts`)).toContain('0008-command');
  });

  it('have names that are only names', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 80 }), async (name) => {
        const made: string[] = [];
        const guest = {
          os: { init: 'upstart' },
          list: () => Promise.resolve([]),
          mkdir: () => Promise.resolve(),
          writeFile: (path: string) => Promise.resolve(void made.push(path)),
        };
        const path = await addFirstbootScript(guest as never, { name, content: '' });
        expect(path).toMatch(/^\/usr\/lib\/tsbuilder-firstboot\/scripts\/0001-[A-Za-z0-9._-]+$/);
        expect(path).not.toMatch(/\.(running|failed|interrupted)$/);
        expect(made).toContain(path);
      }),
    );
  });

  it.each([
    ['no-such-file', /no such file/],
    ['/', /not a regular file|EISDIR/],
  ])('are looked for at once: %s', async (path, message) => {
    const failure = applied(GUEST_TREES.DEBIAN_12, operation(firstboot, path));
    await expect(failure).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringMatching(message) as string,
    });
  });

  it('with a carriage return behind the interpreter are warned of', async () => {
    const script = scratchPath('dos');
    writeFileSync(script, '#!/bin/sh\r\necho\r\n');
    const { guest, warnings } = await applied(GUEST_TREES.DEBIAN_12, operation(firstboot, script));
    await guest[Symbol.asyncDispose]();
    expect(warnings.join()).toMatch(/first line ends in CR LF/);
  });

  it('take no empty value and no NUL', () => {
    for (const kind of [firstboot, firstbootCommand]) {
      for (const text of ['', 'a\0b']) {
        expect(() => kind.parse(text)).toThrow();
        expect(v.safeParse(kind.schema, text).success).toBe(false);
      }
      expect(v.parse(kind.schema, kind.parse('a b'))).toBe('a b');
    }
    expect(firstboot.describe('/tmp/x')).toContain('/tmp/x');
    expect(firstbootCommand.describe('echo secret')).not.toContain('secret');
  });
});

/** Runs the script in a folder with a program of that folder's before the system's. */
function runWith(folder: string, how: { shell: string; name: string; program: string }): string {
  writeFileSync(join(folder, how.name), how.program, { mode: 0o755 });
  const env = { PATH: `${folder}:/usr/bin:/bin` };
  return execFileSync(how.shell, [join(folder, 'script')], { env, encoding: 'utf8' });
}

describe('packages', () => {
  const managers: PackageManager[] = ['apt', 'dnf', 'yum', 'zypper', 'pacman', 'apk', 'emerge'];
  it.each(managers)('are installed by %s, and a failure is its failure', (manager) => {
    const text = installScript(manager, ['curl', 'g++']).replace('left=120', 'left=1');
    const program = manager === 'apt' ? 'apt-get' : manager;
    const folder = scratchPath('bin');
    mkdirSync(folder);
    writeFileSync(join(folder, 'script'), text);
    for (const shell of ['dash', 'bash']) {
      const output = runWith(folder, { shell, program: `#!/bin/sh\necho ${program} "$@"\n`, name: program });
      expect(output.trim().split('\n').at(-1)).toMatch(new RegExp(`^${program} .*curl g\\+\\+$`));
    }
    expect(() => runWith(folder, { shell: 'dash', program: '#!/bin/sh\nexit 7\n', name: program })).toThrow();
  });

  it('need a package manager', async () => {
    await expect(applied(CIRROS, operation(firstbootInstall, 'curl'))).rejects.toThrow(/no package manager/);
  });

  it('are a list separated by commas', () => {
    expect(firstbootInstall.parse('curl, g++,libc6:i386=2.36-9,@development-tools')).toEqual([
      'curl',
      'g++',
      'libc6:i386=2.36-9',
      '@development-tools',
    ]);
    expect(firstbootInstall.describe(['a', 'b'])).toBe('at first boot install a, b');
  });

  it.each(['', 'a,,b', '-y', "a'b", 'a;b', 'a$(b)', 'a\nb', 'a\\'])('are not %j', (text) => {
    expect(() => firstbootInstall.parse(text)).toThrow(/--firstboot-install/);
    expect(v.safeParse(firstbootInstall.schema, text.split(',')).success).toBe(false);
  });
});
