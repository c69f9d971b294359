import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { install } from '../../src/customize/ops/install.js';
import { uninstall } from '../../src/customize/ops/uninstall.js';
import type { ApplianceOptions, ApplianceSession } from '../../src/guest/appliance-session.js';
import { openApplianceSession } from '../../src/guest/open-appliance-session.js';
import { type Progress, silentProgress } from '../../src/progress.js';
import { debianTree, makeXfs } from '../helpers/debian-tree.js';
import { MIB, makeDisk, makeSparse, run } from '../helpers/disk.js';

const PART_MIB = 320;
const ODD = 'odd ü\n"x\'\\ $(rm) `id` ; | ~';

let folder: string;
let disk: string;

/** What is left of sessions: folders, and processes that know one. */
function remains(): string[] {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith('tsbuilder-guestfish-'));
  return [...folders, ...processesWith(process.env['TMPDIR'] ?? '')];
}

function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return command.includes(text) ? [command] : [];
      } catch {
        return [];
      }
    });
}

const options = (more: Partial<ApplianceOptions> = {}): ApplianceOptions => ({
  disk,
  neededFor: '--run',
  progress: silentProgress,
  ...more,
});

beforeAll(() => {
  vi.stubEnv('LIBGUESTFS_BACKEND', 'direct');
  vi.stubEnv('LIBGUESTFS_BACKEND_SETTINGS', 'force_tcg');
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-appliance-test-'));
  // Sessions of other tests at the same time are not of interest here.
  vi.stubEnv('TMPDIR', mkdtempSync(join(folder, 't')));
  disk = join(folder, 'a disk,x.img');
  makeDisk(disk, (PART_MIB + 2) * MIB, `label: gpt\n1 : start=2048, size=${PART_MIB * 2048}, type=L\n`);
  const part = makeSparse(join(folder, 'part'), PART_MIB * MIB);
  makeXfs(part, debianTree(folder));
  run('dd', [`if=${part}`, `of=${disk}`, 'bs=1M', 'seek=1', 'conv=sparse,notrunc', 'status=none']);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe('a libguestfs session on XFS', () => {
  const details: string[] = [];
  const steps: string[] = [];
  const progress: Progress = {
    ...silentProgress,
    detail: (line) => details.push(line),
    step(label) {
      steps.push(label);
      return silentProgress.step(label);
    },
  };
  let session: ApplianceSession;

  beforeAll(async () => {
    session = await openApplianceSession(options({ progress, network: true, fakeTime: 1_700_000_000 }));
  }, 240_000);
  afterAll(async () => {
    await session[Symbol.asyncDispose]();
  });

  it('knows the guest', () => {
    expect(steps).toEqual(['Starting the libguestfs appliance']);
    expect(session.os).toMatchObject({ type: 'linux', packageManager: 'apt', distro: { id: 'debian' } });
  });

  it('runs scripts as root inside the guest', async () => {
    const result = await session.run('id -u; pwd; cat /etc/hostname; echo bad >&2; (sleep 1000 &); exit 3', {
      log: '/tmp/builder.log',
    });
    expect(result).toEqual({ status: 3, output: '0\n/\nsmall\nbad\n' });
    expect(details).toEqual(['0', '/', 'small', 'bad']);
    expect((await session.files.readFile('/tmp/builder.log')).toString()).toBe(result.output);
    expect(await session.files.list('/tmp')).toEqual(['builder.log']);
  }, 60_000);

  it('shows what a script prints while it runs, and returns the end of it', async () => {
    details.length = 0;
    const { status, output } = await session.run(
      'echo first; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo "line $i with some more text to make it longer"; done',
    );
    expect(status).toBe(0);
    expect(output.length).toBe(MIB);
    expect(output.endsWith('line 30000 with some more text to make it longer\n')).toBe(true);
    expect(details[0]).toBe('first');
    expect(details.at(-1)).toMatch(/^line 30000 /);
  }, 60_000);

  it('installs and removes a package', async () => {
    const inGuest = { os: session.os, files: session.files };
    const installed = await session.run(await install.script(['hello-tsb'], inGuest), {
      log: '/tmp/builder.log',
    });
    expect(installed).toMatchObject({
      status: 0,
      output: expect.stringContaining('Setting up hello-tsb') as string,
    });
    expect((await session.run('hello-tsb')).output).toBe('hello\n');
    const missing = await session.run(await install.script(['no-such-package'], inGuest));
    expect(missing).toMatchObject({ status: 100 });
    expect(missing.output).toContain('Unable to locate package no-such-package');
    expect((await session.run(await uninstall.script(['hello-tsb'], inGuest))).status).toBe(0);
    expect(await session.files.exists('/usr/bin/hello-tsb')).toBe(false);
    expect((await session.files.readFile('/etc/resolv.conf')).toString()).toBe('nameserver 192.0.2.1\n');
    expect((await session.files.readFile('/tmp/builder.log')).toString()).toContain(installed.output);
  }, 120_000);

  it('changes files, all kinds of them', async () => {
    const hostFile = join(folder, 'content');
    run('dd', ['if=/dev/urandom', `of=${hostFile}`, 'bs=1M', 'count=3', 'status=none']);
    const xattrs = new Map([['user.x', Buffer.from('a\0b')]]);
    await using guest = session.guest();
    await guest.writeFile('/etc/motd', 'welcome', { mode: 0o4640, uid: 5, gid: 3_000_000, xattrs });
    await guest.mkdir(`/${ODD}/deep`, { parents: true, mode: 0o2750 });
    await guest.writeFile(`/${ODD}/${ODD}`, { hostFile });
    await guest.hardLink(`/${ODD}/${ODD}`, '/another');
    await guest.symlink(`/etc/${ODD}`, '/link');
    await guest.makeNode('/dev/tsb', { type: 'character', device: { major: 4, minor: 300 } });
    await guest.rename('/etc/debian_version', `/${ODD}/moved`);
    await guest.hardLink('/etc/os-release', '/boot/os-release');
    await guest.rename('/var/log', '/var/logs');
    await guest.remove('/repo', { recursive: true });
    await guest.chmod('/etc/hostname', 0o600);
    await guest.chown('/etc/group', { uid: 1, gid: 2 });
    await guest.setXattr('/etc/group', 'security.selinux', Buffer.from('system_u:object_r:etc_t:s0\0'));
    await guest.setTime('/etc/passwd', 1_234_567_890);
    expect(await guest.list(`/${ODD}`)).toEqual(['deep', 'moved', ODD].sort());
    await guest.commit();
    expect(await guest.stat('/etc/motd')).toMatchObject({
      mode: 0o4640,
      uid: 5,
      gid: 3_000_000,
      size: 7,
      mtime: 1_700_000_000,
    });
    expect((await guest.readFile('/another')).equals(readFileSync(hostFile))).toBe(true);
    expect((await guest.stat('/another')).links).toBe(2);
    expect((await guest.lstat('/dev/tsb')).device).toEqual({ major: 4, minor: 300 });
    expect(await guest.readLink('/link')).toBe(`/etc/${ODD}`);
    expect(await guest.getXattrs('/etc/motd')).toEqual(xattrs);
    expect((await guest.stat('/boot/os-release')).links).toBe(2);
    expect(await session.files.exists(`/${ODD}/moved`)).toBe(true);
  }, 60_000);

  it('refuses what it cannot do before anything is changed', async () => {
    await using guest = session.guest();
    await guest.writeFile('/etc/not-there', 'x');
    await guest.setXattr('/etc/passwd', 'user.x', Buffer.from('a\0b'));
    await expect(guest.commit()).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('NUL') as string,
    });
    await using other = session.guest();
    await other.scrub('/etc/os-release');
    await expect(other.commit()).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('hard links') as string,
    });
    expect(await session.files.exists('/etc/not-there')).toBe(false);
    await expect(session.guest().commit()).resolves.toBeUndefined();
  });

  it('leaves a disk that guestfish and xfs_repair find sound, and nothing else', async () => {
    await session.close();
    await session[Symbol.asyncDispose]();
    await expect(session.run('true')).rejects.toMatchObject({ code: 'TSB_TOOL_FAILED' });
    expect(remains()).toEqual([]);
    const part = join(folder, 'after');
    run('dd', [
      `if=${disk}`,
      `of=${part}`,
      'bs=1M',
      'skip=1',
      `count=${PART_MIB}`,
      'conv=sparse',
      'status=none',
    ]);
    run('xfs_repair', ['-n', part]);
    const stat = [
      'lstatns',
      '/etc/motd',
      ':',
      'lgetxattr',
      '/etc/motd',
      'user.x',
      ':',
      'ls',
      '/var',
      ':',
      'exists',
      '/repo',
    ];
    const text = execFileSync(
      'guestfish',
      [
        '--ro',
        '--format=raw',
        '-a',
        disk,
        '-m',
        '/dev/sda1',
        '--',
        'cat',
        '/etc/motd',
        ':',
        ...stat,
        ':',
        'checksum',
        'sha256',
        '/another',
      ],
      { encoding: 'latin1' },
    );
    expect(text).toMatch(/^welcome/);
    expect(text).toMatch(/st_mode: 35232\n(.*\n)*st_uid: 5\nst_gid: 3000000\n/);
    expect(text).toContain('a\0b');
    expect(text).toMatch(/\nlogs\n/);
    expect(text).toMatch(/\nfalse\n/);
    expect(text).toContain(run('sha256sum', [join(folder, 'content')]).slice(0, 64));
  }, 120_000);
});

describe('a libguestfs session that does not come to be', () => {
  it('is killed on abort, with everything it has started', async () => {
    const abort = new AbortController();
    const size = statSync(disk).size;
    const opening = openApplianceSession(options({ signal: abort.signal }));
    while (!processesWith(process.env['TMPDIR'] ?? '').some((command) => command.includes('guestfsd.sock'))) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    abort.abort(new Error('stopped by the test'));
    await expect(opening).rejects.toThrow('stopped by the test');
    expect(remains()).toEqual([]);
    expect(statSync(disk).size).toBe(size);
    await expect(openApplianceSession(options({ signal: abort.signal }))).rejects.toThrow(
      'stopped by the test',
    );
  }, 60_000);

  it('names the package when guestfish is missing, and what needs it', async () => {
    const path = process.env['PATH'];
    try {
      vi.stubEnv('PATH', '/nowhere');
      await expect(openApplianceSession(options({ neededFor: '--install' }))).rejects.toMatchObject({
        code: 'TSB_TOOL_MISSING',
        message: '--install needs libguestfs: guestfish: program not found',
        hint: 'Install it: apt-get install libguestfs-tools',
      });
    } finally {
      vi.stubEnv('PATH', path);
    }
  });

  it('says why an appliance does not start', async () => {
    try {
      vi.stubEnv('LIBGUESTFS_HV', '/bin/false');
      await expect(openApplianceSession(options({ neededFor: '--install' }))).rejects.toMatchObject({
        code: 'TSB_TOOL_FAILED',
        message: expect.stringMatching(
          /^--install needs a libguestfs appliance, which does not start: /,
        ) as string,
        hint: expect.stringMatching(/libguestfs-test-tool.*kernel in \/boot/) as string,
      });
    } finally {
      vi.stubEnv('LIBGUESTFS_HV', undefined);
    }
    expect(remains()).toEqual([]);
    await expect(openApplianceSession(options({ disk: join(folder, 'none.img') }))).rejects.toMatchObject({
      code: 'TSB_TOOL_FAILED',
      message: expect.stringContaining('none.img') as string,
    });
    expect(remains()).toEqual([]);
  }, 60_000);
});
