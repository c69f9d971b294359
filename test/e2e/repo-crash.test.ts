import { cpSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Desk, failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { sha512 } from '../helpers/e2e-template.js';
import { type Gnupg, type GnupgKey, newGnupg } from '../helpers/gnupg.js';
import { SMALL_DEBIAN, makeSystemDisk } from '../helpers/system-disk.js';

vi.setConfig({ testTimeout: 300_000 });

let count = 0;
let desk: Desk;
let gnupg: Gnupg;
let key: GnupgKey;
let next: GnupgKey;
let disks: readonly string[];
beforeAll(async () => {
  desk = await newDesk();
  gnupg = await newGnupg();
  [key, next] = [gnupg.makeKey('present'), gnupg.makeKey('next')];
  disks = ['first', 'second'].map((name) => makeSystemDisk({ ...SMALL_DEBIAN, 'etc/hostname': `${name}\n` }));
  const dir = desk.file('master');
  resultOf(await desk.run(['repo', 'init', dir, '--key', key.secret, '--json']));
  resultOf(await desk.run(add(dir, 0, 'deb')));
});
afterAll(async () => {
  await desk[Symbol.asyncDispose]();
  await gnupg[Symbol.asyncDispose]();
});

/** A disk is packed by one program at a time, so every run gets its own copy. */
function add(dir: string, disk: number, name: string): string[] {
  const copy = desk.file(`disk-${++count}`);
  cpSync(disks[disk] ?? '', copy);
  return ['repo', 'add', dir, copy, name, '--preset', '0', '--key', key.secret, '--json'];
}

/** A copy of a repository with one template. */
function copyOfMaster(): string {
  const dir = desk.file(`repo-${++count}`);
  cpSync(desk.file('master'), dir, { recursive: true });
  return dir;
}

/** The revision in the index, when gpg accepts the index by the key file and every file that it names is there and is right. */
function verified(dir: string): number {
  const home = join(desk.path, 'tmp', `keys-${++count}.gpg`);
  const keyring = ['--no-default-keyring', '--keyring', home];
  try {
    gnupg.gpg([...keyring, '--import', join(dir, 'key.asc')]);
    gnupg.gpg([...keyring, '--verify', join(dir, 'index.asc')]);
  } finally {
    for (const name of [home, `${home}~`]) rmSync(name, { force: true });
  }
  const index = readFileSync(join(dir, 'index.asc'), 'utf8');
  const field = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(index)?.[1] ?? '';
  const found = ['file', 'blocks'].map((name) => sha512(readFileSync(join(dir, field(name)))));
  expect(found).toEqual([field('checksum\\[sha512\\]'), field('blocks\\[sha512\\]')]);
  return Number(field('revision'));
}

/** Runs the program and kills it when it is about to rename or make a file for the `n`th time. @returns whether it was killed */
async function killed(args: readonly string[], at: { call: string; n: number }): Promise<boolean> {
  const inject = `${at.call}:signal=SIGKILL:when=${at.n}`;
  const strace = [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    `trace=${at.call}`,
    '-e',
    `inject=${inject}`,
  ];
  // One thread makes all calls: strace counts them for each thread.
  const outcome = await desk.run(args, { wrapper: strace, env: { UV_THREADPOOL_SIZE: '1' } });
  return outcome.status !== 0;
}

/** Kills `change` at each of its renames, links, flushes and removals in turn. @returns the revisions that were found */
async function killEverywhere(change: (dir: string) => string[]): Promise<number[]> {
  const calls = ['rename', 'symlink', 'fsync', 'unlink'];
  const found: number[] = [];
  await inTurns(
    calls.map((call) => async () => {
      for (let n = 1, going = true; going; n += 1) {
        const dir = copyOfMaster();
        going = await killed(change(dir), { call, n });
        found.push(verified(dir));
        resultOf(await desk.run(add(dir, 0, 'deb')));
        const left = readdirSync(dir).filter((name) => name.startsWith('.'));
        expect({ call, n, left }).toEqual({ call, n, left: [] });
        expect(readdirSync(dir).filter((name) => name.endsWith('.xz')).length).toBeLessThanOrEqual(2);
        verified(dir);
        rmSync(dir, { recursive: true });
      }
    }),
  );
  return found;
}

it('add, killed at any step, leaves the old repository or the new one, and the next writer sweeps', async () => {
  const found = await killEverywhere((dir) => add(dir, 1, 'deb'));
  expect(new Set(found)).toEqual(new Set([1, 2]));
  expect(found.length).toBeGreaterThan(12);
});

it('a change of keys, killed at any step, leaves an index that a key of the key file signed', async () => {
  for (const call of ['rename', 'fsync', 'unlink']) {
    for (let n = 1, going = true; going; n += 1) {
      const dir = copyOfMaster();
      const sign = ['repo', 'sign', dir, '--new-key', next.secret, '--retire', key.fingerprint, '--json'];
      going = await killed(sign, { call, n });
      expect(verified(dir)).toBe(1);
      const listed = await desk.run(['repo', 'list', dir, '--json']);
      expect(resultOf(listed)).toMatchObject({ templates: [{ name: 'deb', revision: 1 }] });
      rmSync(dir, { recursive: true });
    }
  }
});

it('two writers at once lose nothing', async () => {
  const dir = copyOfMaster();
  const names = ['one', 'two', 'three', 'four'];
  const outcomes = await Promise.all(names.map((name, index) => desk.run(add(dir, index % 2, name))));
  outcomes.forEach(resultOf);
  const list = resultOf(await desk.run(['repo', 'list', dir, '--json'])) as { templates: { name: string }[] };
  expect(list.templates.map(({ name }) => name).sort()).toEqual(['deb', ...names].sort());
  verified(dir);
  rmSync(dir, { recursive: true });
});

it('a full disk at any stage leaves the old repository, and nothing else', async () => {
  const master = desk.file('master');
  const folder = join(desk.path, 'mounted');
  const whole = readdirSync(master).map((name) => Math.ceil(readFileSync(join(master, name)).length / 4096));
  const pages = whole.reduce((sum, length) => sum + length, 1);
  const run = (extra: number): ReturnType<Desk['run']> => {
    const mount = `mkdir -p ${folder} && mount -t tmpfs -o size=${(pages + extra) * 4096} none ${folder} && cp ${master}/* ${folder} || exit 99`;
    const after = `ls -A ${folder} >&2; cmp ${folder}/index.asc ${master}/index.asc >&2 || exit 98`;
    const script = `${mount}; "$@"; status=$?; ${after}; exit $status`;
    return desk.run(add(folder, 1, 'deb'), { wrapper: ['unshare', '-Urm', 'sh', '-c', script, 'sh'] });
  };
  const found = await inTurns(
    [0, 1, 2, 3, 4, 5, 6].map((extra) => async () => {
      const outcome = await run(extra);
      const left = outcome.stderr.trimEnd().split('\n').slice(-readdirSync(master).length);
      return { extra, summary: outcome.status === 98 ? 'published' : failureOf(outcome).summary, left };
    }),
  );
  const failed = found.filter(({ summary }) => summary !== 'published');
  expect(failed.length).toBeGreaterThan(3);
  for (const { extra, summary, left } of failed)
    expect({ extra, summary, left }).toEqual({
      extra,
      summary: '7 TSB_NO_SPACE',
      left: readdirSync(master).sort(),
    });
  expect((await litter(desk, ['master'])).filter((name) => !name.startsWith('disk-'))).toEqual([]);
});
