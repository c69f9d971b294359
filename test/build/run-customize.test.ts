import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, truncateSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { CustomizeDone, CustomizeMeans, CustomizeWork } from '../../src/build/customize-work.js';
import { findSystemsIn } from '../../src/build/choose-root.js';
import { customizeDisk } from '../../src/build/run-customize.js';
import { seedDisk } from '../../src/build/seed-disk.js';
import { joinLists } from '../../src/customize/customize-list.js';
import { parseCommands } from '../../src/customize/parse-commands.js';
import { planCustomize } from '../../src/customize/plan-customize.js';
import type { OpenApplianceSession } from '../../src/guest/appliance-session.js';
import { openRoot } from '../../src/guest/open-guest.js';
import { seededRandom } from '../../src/io/random.js';
import { silentProgress } from '../../src/progress.js';
import { makeFat } from '../helpers/disk-content.js';
import { MIB, run } from '../helpers/guest-image.js';
import { GUEST_TREES } from '../helpers/guest-trees.js';
import { makeMountedDisk } from '../helpers/mounted-disk.js';
import { SMALL_DEBIAN, debugfsOn, fsckOn, makeSystemDisk } from '../helpers/system-disk.js';

const work = (commands: string, more: Partial<CustomizeWork> = {}): CustomizeWork => {
  const { operations, settings } = joinLists([parseCommands('test', commands)]);
  return { stages: planCustomize(operations), settings, machine: { network: false }, ...more };
};
const means = (more: Partial<CustomizeMeans> = {}): CustomizeMeans => ({
  random: seededRandom('test'),
  fakeTime: 1_700_000_000,
  sync: false,
  progress: silentProgress,
  signal: new AbortController().signal,
  ...more,
});
const customize = (
  path: string,
  commands: string,
  more: Partial<CustomizeWork> = {},
): Promise<CustomizeDone> => customizeDisk(path, work(commands, more), means());
const hash = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** A session on the ext filesystem itself, which only pretends to run scripts; `calls` tells what it was asked for. */
function fakeSession(calls: string[], status = 0, output = 'line one\nit broke\n'): OpenApplianceSession {
  return async ({ disk, neededFor, network, signal }) => {
    calls.push(`open for ${neededFor}${network ? ' with network' : ''}`);
    const { roots } = await findSystemsIn(disk, signal ?? new AbortController().signal);
    const guest = await openRoot(disk, roots[0]!);
    return {
      os: guest.os,
      files: guest,
      run: (script, options) => {
        calls.push(`run ${script.includes('echo one') ? 'one' : 'other'} log ${options?.log ?? 'none'}`);
        return Promise.resolve({ status, output });
      },
      guest: () => ({
        ...guest,
        commit: async () => {
          calls.push('commit');
          await guest.commit();
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
      close: () => {
        calls.push('close');
        return Promise.resolve();
      },
      [Symbol.asyncDispose]: async () => {
        calls.push('end');
        await guest[Symbol.asyncDispose]();
      },
    };
  };
}

describe('customising a disk', () => {
  it('does operations in their order with one commit', async () => {
    const path = makeSystemDisk(undefined, SMALL_DEBIAN);
    const { done, rootLogin } = await customize(
      path,
      'write /etc/motd:one\nappend-line /etc/motd:two\nmkdir /srv/x',
    );
    expect(done).toHaveLength(3);
    expect(rootLogin).toBe('locked');
    expect(debugfsOn(path, 2, 'cat /etc/motd')).toBe('one\ntwo\n');
    fsckOn(path, 2);
  });

  it('sets passwords last and hands over those made here', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN);
    const { done, secrets, rootLogin } = await customize(
      path,
      'root-password random\nuser web\npassword web:random',
    );
    expect(done.map((line) => line.includes('password'))).toEqual([false, true, true]);
    expect(rootLogin).toBe('password');
    expect(secrets.map(({ value }) => value.length)).toEqual([16, 16]);
    for (const { value } of secrets) expect(done.join()).not.toContain(value);
  });

  it('hands over only the password that holds in the end', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN);
    const secretsOf = async (commands: string): Promise<string[]> =>
      (await customize(path, commands)).secrets.map(({ label }) => label);
    expect(await secretsOf('root-password random\nroot-password password:x')).toEqual([]);
    expect(await secretsOf('user web:password=random\npassword web:locked')).toEqual([]);
    expect(await secretsOf('root-password random\npassword root:random')).toEqual(['password of root']);
  });

  it('leaves the disk as it was when an operation fails in the middle', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN);
    const before = hash(path);
    await expect(customize(path, 'hostname web1\nchmod 0600:/nope\nmkdir /srv/x')).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringMatching(/^--chmod: .*\/nope/) as string,
      details: { operation: 'chmod' },
    });
    expect(hash(path)).toBe(before);
  });

  it('makes the same disk of the same seed', async () => {
    const path = makeSystemDisk({ ...SMALL_DEBIAN, 'etc/ssh': { dir: 0o755 } });
    const copy = `${path}.copy`;
    copyFileSync(path, copy);
    for (const disk of [path, copy]) await customize(disk, 'root-password random\nssh-host-keys\nhostname a');
    expect(hash(path)).toBe(hash(copy));
  });

  it('asks which system is meant', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN, GUEST_TREES.FEDORA);
    await expect(customize(path, 'mkdir /srv')).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('2 systems on one disk') as string,
      hint: expect.stringContaining('--root') as string,
    });
    await customize(path, 'write /etc/motd:second', { root: '/dev/sda2' });
    expect(debugfsOn(path, 2, 'cat /etc/motd')).toBe('second');
    await expect(customize(path, 'mkdir /srv', { root: '3' })).rejects.toMatchObject({ code: 'TSB_GUEST' });
  });

  it.each([
    ['no filesystem', [undefined]],
    ['only data', [{ 'some/file': 'x' }]],
  ])('refuses a disk with %s', async (_, trees) => {
    const path = makeSystemDisk(...trees);
    const opened: string[] = [];
    const opening = customizeDisk(path, work('mkdir /srv'), means({ openSession: fakeSession(opened) }));
    await expect(opening).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message: expect.stringContaining('there is no Linux system on it, but') as string,
    });
  });

  it('takes a session for names that debugfs cannot be told', async () => {
    const path = makeSystemDisk({ ...SMALL_DEBIAN, 'srv/a\nb': 'x', 'srv/c': 'x' });
    const before = hash(path);
    const opening = (commands: string): Promise<unknown> => {
      const openSession: OpenApplianceSession = ({ neededFor }) => Promise.reject(new Error(neededFor));
      return customizeDisk(path, work(commands), means({ openSession }));
    };
    await expect(opening('delete /srv')).rejects.toThrow('--delete');
    await expect(opening('move /srv:/other')).rejects.toThrow('--move');
    expect(hash(path)).toBe(before);
    // What is beside such a name can be changed without one.
    await customize(path, 'delete /srv/c\nlink /etc/passwd:/srv\nlink x:/srv/y');
    fsckOn(path, 1);
    expect(debugfsOn(path, 1, 'ls /srv')).toMatch(/a\\x0ab.*passwd.* y/s);
  });

  it('tells where a link was made', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN);
    const { done } = await customize(path, 'link /etc/passwd:/tmp:/tmp/x');
    expect(done).toEqual(['link /tmp/passwd, /tmp/x to /etc/passwd']);
  });

  it('stops where it is interrupted', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN);
    const before = hash(path);
    const signal = AbortSignal.abort(new Error('interrupted'));
    await expect(customizeDisk(path, work('mkdir /srv/x'), means({ signal }))).rejects.toThrow('interrupted');
    expect(hash(path)).toBe(before);
  });
});

describe('what needs programs of the guest', () => {
  it('is done in one session, with the offline stages between', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN);
    const calls: string[] = [];
    const commands =
      'mkdir /srv/a\nrun-command echo one\nwrite /srv/a/b:x\nrun-command echo two\nroot-password password:abc';
    const { done, rootLogin } = await customizeDisk(
      path,
      work(commands, { machine: { network: true } }),
      means({ openSession: fakeSession(calls) }),
    );
    expect(calls).toEqual([
      'open for --run-command with network',
      'run one log /tmp/builder.log',
      'commit',
      'run other log /tmp/builder.log',
      'close',
      'end',
    ]);
    expect(done).toHaveLength(5);
    expect(rootLogin).toBe('password');
    expect(debugfsOn(path, 1, 'cat /srv/a/b')).toBe('x');
    fsckOn(path, 1);
  });

  it('leaves no log where none is wanted', async () => {
    const calls: string[] = [];
    const path = makeSystemDisk(SMALL_DEBIAN);
    await customizeDisk(path, work('no-logfile\nrun-command x'), means({ openSession: fakeSession(calls) }));
    expect(calls).toContain('run other log none');
  });

  it('ends with what a failing program said', async () => {
    const calls: string[] = [];
    const path = makeSystemDisk(SMALL_DEBIAN);
    const failing = customizeDisk(path, work('run-command x'), means({ openSession: fakeSession(calls, 3) }));
    await expect(failing).rejects.toMatchObject({
      code: 'TSB_GUEST',
      message:
        '--run-command: run a command of 1 characters: ended with status 3 in the guest:\nline one\nit broke',
    });
    expect(calls.at(-1)).toBe('end');
  });

  it('tells the end of it, however much that was, and says where it was nothing', async () => {
    const messageFor = async (output: string): Promise<string> => {
      const openSession = fakeSession([], 7, output);
      const path = makeSystemDisk(SMALL_DEBIAN);
      const failed = customizeDisk(path, work('run-command x'), means({ openSession }));
      return failed.then(String, (error: unknown) => (error as Error).message);
    };
    const long = await messageFor(`${'x'.repeat(100_000)}the end\n`);
    expect(long).toMatch(/^--run-command: .*: ended with status 7 in the guest:\nx+the end$/);
    expect(long.length).toBeLessThan(2200);
    expect(await messageFor('')).toMatch(/status 7 in the guest and printed nothing$/);
  });

  it('tells the session which system is meant', async () => {
    const roots: (string | undefined)[] = [];
    const openSession: OpenApplianceSession = ({ root }) => {
      roots.push(root);
      return Promise.reject(new Error('a session'));
    };
    const path = makeSystemDisk(SMALL_DEBIAN, GUEST_TREES.FEDORA, undefined);
    run('sh', [
      '-c',
      `printf 'XFSB\\0\\0\\020\\0' | dd of="$0" bs=1M seek=33 conv=notrunc status=none`,
      path,
    ]);
    for (const root of ['1', '/dev/vda2', '3', 'nothing'])
      await expect(
        customizeDisk(path, work('run-command x', { root }), means({ openSession })),
      ).rejects.toThrow(root === 'nothing' ? 'no Linux system has its root on nothing' : 'a session');
    expect(roots).toEqual(['1', '2', '3']);
  });

  it('makes an SELinux guest label its files anew, unless told otherwise', async () => {
    const tree = { ...GUEST_TREES.FEDORA, tmp: { dir: 0o1777 } };
    for (const [commands, expected] of [
      ['run-command x', true],
      ['run-command x\nno-selinux-relabel', false],
      ['selinux-relabel\nmkdir /srv', true],
      ['mkdir /srv', false],
    ] as const) {
      const path = makeSystemDisk(tree);
      await customizeDisk(path, work(commands), means({ openSession: fakeSession([]) }));
      expect([commands, debugfsOn(path, 1, 'ls -l /').includes('.autorelabel')]).toEqual([
        commands,
        expected,
      ]);
    }
  });
});

describe('seeding and customising a new disk', () => {
  it('seeds every system and customises the one that is meant', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN, GUEST_TREES.FEDORA);
    const { seeded, done } = await seedDisk(path, {
      ...means(),
      plan: { machineId: 'random' },
      work: work('write /etc/motd:meant', { root: '1' }),
    });
    expect(done).toHaveLength(1);
    expect(seeded.filter((line) => line.includes('machine-id'))).toHaveLength(2);
    expect(debugfsOn(path, 1, 'cat /etc/motd')).toBe('meant');
    for (const number of [1, 2])
      expect(debugfsOn(path, number, 'cat /etc/machine-id')).toMatch(/^[0-9a-f]{32}\n$/);
  });

  const none = { stages: [], settings: {}, machine: { network: false } };
  const seed = async (
    path: string,
    commands: string,
    openSession?: OpenApplianceSession,
  ): Promise<{ seeded: readonly string[]; warnings: string[] }> => {
    const warnings: string[] = [];
    const progress = { ...silentProgress, warn: (text: string) => void warnings.push(text) };
    const { seeded } = await seedDisk(path, {
      ...means({ progress, openSession }),
      plan: { machineId: 'random' },
      work: commands === '' ? none : work(commands),
    });
    return { seeded, warnings };
  };

  it.each([
    [
      'on another kind of filesystem',
      '/dev/vda2 /var vfat',
      /\/var is another filesystem .*vfat.*run-command/,
    ],
    [
      'not on the disk',
      'UUID=dead-beef /var ext4',
      /\/var \(\/etc\/fstab.* has that name.*see what is written/,
    ],
  ])('leaves out with one warning what is %s', async (_, line, warning) => {
    const path = makeSystemDisk({ ...SMALL_DEBIAN, 'etc/fstab': `${line} defaults 0 0\n` }, undefined);
    makeFat(path, { offset: 17 * MIB, length: 16 * MIB });
    for (const commands of ['', 'write /etc/motd:x']) {
      const { seeded, warnings } = await seed(path, commands, () => Promise.reject(new Error('a session')));
      expect(seeded).toEqual(['machine-id /etc/machine-id (random)']);
      expect(warnings.filter((text) => text.includes('could not be written'))).toEqual([
        expect.stringMatching(warning),
      ]);
    }
    expect(debugfsOn(path, 1, 'cat /etc/machine-id')).toMatch(/^[0-9a-f]{32}\n$/);
    fsckOn(path, 1);
  });

  it('writes it in a session where one is started anyway', async () => {
    const fstab = '/dev/vda2 /var vfat defaults 0 0\n';
    const path = makeSystemDisk({ ...SMALL_DEBIAN, 'etc/fstab': fstab }, undefined);
    makeFat(path, { offset: 17 * MIB, length: 16 * MIB });
    const openSession = (): Promise<never> => Promise.reject(new Error('a session'));
    await expect(seed(path, 'run-command x', openSession)).rejects.toThrow('a session');
  });

  it('says why a system on XFS is not seeded', async () => {
    const { path } = makeMountedDisk({ mkfs: ['mkfs.xfs', '-q'], mib: 300 });
    truncateSync(path, 302 * MIB);
    run('sh', ['-c', `echo 'start=2048, size=300MiB' | sfdisk -q --label gpt "$0"`, path]);
    expect(await seed(path, '')).toEqual({
      seeded: [],
      warnings: [expect.stringMatching(/must be on partition 1 \(xfs\), .*any operation/)],
    });
  });

  it('says whether root can log in also where nothing was to be done', async () => {
    const path = makeSystemDisk(SMALL_DEBIAN);
    const result = await seedDisk(path, { ...means(), plan: { machineId: 'keep' }, work: none });
    expect(result).toMatchObject({ rootLogin: 'locked', done: [], secrets: [] });
  });
});
