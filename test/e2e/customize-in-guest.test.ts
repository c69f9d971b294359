import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debian12Repository } from '../helpers/debian12-repository.js';
import { debianTree, makeXfs } from '../helpers/debian-tree.js';
import { MIB, makeDisk, makeSparse, run } from '../helpers/disk.js';
import { type Desk, litter, newDesk, resultOf } from '../helpers/e2e.js';

/** An appliance without KVM, kept where all libguestfs programs of this machine keep it. */
const TCG = {
  LIBGUESTFS_BACKEND: 'direct',
  LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
  LIBGUESTFS_CACHEDIR: '/var/tmp',
};
const START = 'Starting the libguestfs appliance';

let desk: Desk;
let folder: string;
let tree: string;
let dataDir: string;

beforeAll(async () => {
  ({ dataDir } = await debian12Repository());
  desk = await newDesk();
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-in-guest-'));
  tree = debianTree(folder);
  writeFileSync(
    join(folder, 'script'),
    '#!/bin/bash\necho "4 run as $(id -un) ${BASH_VERSION:+bash}" >>/srv/order\n',
  );
  chmodSync(join(folder, 'script'), 0o700);
  writeFileSync(join(folder, 'secret'), 'correct horse\n');
}, 1_800_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await desk[Symbol.asyncDispose]();
});

/** Operations on files and programs of the guest by turns; each sees what those before it did. */
function mixed(): string[] {
  const local = (name: string): string => join(folder, name);
  return [
    ...['--root-password', `file:${local('secret')}`, '--write', '/srv/order:1 offline\n'],
    ...['--run-command', 'cat /srv/order >/srv/seen && echo 2 run >>/srv/order'],
    ...['--append-line', '/srv/order:3 offline', '--run', local('script')],
    ...['--edit', '/srv/order:s/4 run/four/', '--hostname', 'mixed', '--mkdir', '/srv/deep/er'],
    ...['--upload', `${local('secret')}:/srv/deep/er/up`, '--chmod', '0640:/srv/deep/er/up'],
    ...[
      '--link',
      'deep/er/up:/srv/link',
      '--copy',
      '/srv/deep:/srv/copied',
      '--move',
      '/srv/seen:/srv/moved',
    ],
    ...[
      '--install',
      'hello-tsb',
      '--run-command',
      'hello-tsb >/srv/hello; stat -Lc %a:%u /srv/link >>/srv/hello',
    ],
    ...['--uninstall', 'hello-tsb', '--append-line', '/srv/order:5 offline', '--delete', '/srv/c*/er/up'],
  ];
}

/** What the guest's files hold afterwards. */
const WANTED = {
  '/srv/order': '1 offline\n2 run\n3 offline\nfour as root bash\n5 offline\n',
  '/srv/moved': '1 offline\n',
  '/srv/hello': 'hello\n640:0\n',
  '/etc/hostname': 'mixed\n',
};
/** What was uploaded; a link leads to it, which debugfs does not follow. */
const LINKED = { '/srv/deep/er/up': 'correct horse\n' };
/** What is in it besides. */
const MATCHED = {
  '/etc/shadow': /^root:\$y\$\S+\n/,
  '/tmp/builder.log': /Setting up hello-tsb[^]*Removing hello-tsb/,
};
const FOUND = ['copied', 'copied/er', 'deep', 'deep/er', 'deep/er/up', 'hello', 'link', 'moved', 'order'];

async function customize(disk: string, ...words: string[]): Promise<{ done: string[]; starts: number }> {
  const before = readdirSync(desk.work);
  const outcome = await desk.run(['customize', disk, '--no-backup', '--no-network', '--json', ...words], {
    env: TCG,
  });
  const { done } = resultOf(outcome) as { done: string[] };
  expect(await litter(desk, before)).toEqual([]);
  const steps = outcome.stderr.split('\n').filter((line) => line.startsWith('{"type":"step"'));
  return { done, starts: steps.filter((line) => line.includes(START)).length };
}

describe('operations on files and programs of the guest, mixed', () => {
  it('keep their order on the real debian-12 disk, in one appliance', async () => {
    const env = { TSBUILDER_DATA_DIR: dataDir };
    resultOf(await desk.run(['debian-12', '-o', 'real.img', '--json'], { env }));
    const repository = [
      ...['--copy-in', `${tree}/repo:/`, '--delete', '/etc/apt/sources.list.d/*'],
      ...['--write', '/etc/apt/sources.list:deb [trusted=yes] file:/repo ./\n'],
    ];
    const { done, starts } = await customize('real.img', ...repository, ...mixed());
    expect(starts).toBe(1);
    expect(done.at(-1)).toMatch(/password/);
    expect(done).toHaveLength((repository.length + mixed().length) / 2);
    const device = `${desk.file('real.img')}?offset=${129 * MIB}`;
    run('e2fsck', ['-fn', device]);
    const debugfs = (command: string): string => run('debugfs', ['-R', command, device]);
    for (const [path, text] of Object.entries({ ...WANTED, ...LINKED }))
      expect(debugfs(`cat ${path}`), path).toBe(text);
    for (const [path, text] of Object.entries(MATCHED)) expect(debugfs(`cat ${path}`), path).toMatch(text);
    expect(debugfs('stat /srv/deep/er/up')).toMatch(/Mode:\s+0640[^]*User:\s+0/);
    expect(debugfs('ls -p /srv/copied/er')).not.toContain('/up/');
    expect(debugfs('ls -p /usr/bin')).not.toContain('hello-tsb');
  }, 600_000);

  it('keep it where the system is on XFS', async () => {
    const [disk, size] = [desk.file('xfs.img'), 320];
    makeDisk(disk, (size + 2) * MIB, `label: gpt\n1 : start=2048, size=${size * 2048}, type=L\n`);
    const part = makeSparse(join(folder, 'part'), size * MIB);
    writeFileSync(join(tree, 'etc/shadow'), 'root:*:19000:0:99999:7:::\n', { mode: 0o640 });
    run('mkdir', [join(tree, 'srv')]);
    makeXfs(part, tree);
    run('dd', [`if=${part}`, `of=${disk}`, 'bs=1M', 'seek=1', 'conv=sparse,notrunc', 'status=none']);
    const { done, starts } = await customize('xfs.img', ...mixed());
    expect(starts).toBe(1);
    expect(done).toHaveLength(mixed().length / 2);
    run('dd', [`if=${disk}`, `of=${part}`, 'bs=1M', 'skip=1', `count=${size}`, 'conv=sparse', 'status=none']);
    run('xfs_repair', ['-n', part]);
    const wanted = { ...WANTED, ...LINKED, '/srv/link': LINKED['/srv/deep/er/up'] };
    const paths = [...Object.keys(wanted), ...Object.keys(MATCHED)];
    const out = (index: number): string => join(folder, `read${index}`);
    const commands = paths.flatMap((path, index) => ['download', path, out(index), ':']);
    const { stdout } = await promisify(execFile)(
      'guestfish',
      ['--ro', '--format=raw', '-a', disk, '-m', '/dev/sda1', '--', ...commands, 'find', '/srv'],
      { env: { ...process.env, ...TCG } },
    );
    const texts = new Map(paths.map((path, index) => [path, readFileSync(out(index), 'utf8')]));
    expect(Object.fromEntries(texts)).toMatchObject(wanted);
    for (const [path, text] of Object.entries(MATCHED)) expect(texts.get(path)).toMatch(text);
    expect(stdout.trim().split('\n')).toEqual(FOUND.map((name) => `/${name}`));
  }, 600_000);
});
