import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from '../helpers/disk.js';
import { type Desk, failureOf, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { sha512 } from '../helpers/e2e-template.js';
import { type Gnupg, newGnupg } from '../helpers/gnupg.js';
import { SMALL_DEBIAN, debugfsOn, fsckOn, makeSystemDisk } from '../helpers/system-disk.js';

// A whole virt-builder build starts an emulated machine.
vi.setConfig({ testTimeout: 300_000 });

let desk: Desk;
let gnupg: Gnupg;
let disk: string;
let third: string;
let fingerprint: string;
beforeAll(async () => {
  desk = await newDesk();
  gnupg = await newGnupg();
  disk = makeSystemDisk({ ...SMALL_DEBIAN, 'etc/hostname': 'first\n' });
  third = otherDisk('third');
  const made = await json(['init', repo(), '--name', 'Tests']);
  fingerprint = made['fingerprint'] as string;
  gnupg.gpg(['--import', join(repo(), 'key.asc')]);
});
afterAll(async () => {
  await desk[Symbol.asyncDispose]();
  await gnupg[Symbol.asyncDispose]();
});

const repo = (): string => desk.file('repo');
const inRepo = (name: string): string => join(repo(), name);
const visible = (): string[] => readdirSync(repo()).sort();

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  return resultOf(await desk.run(['repo', ...args, '--json'])) as Record<string, unknown>;
}

async function failure(args: readonly string[]): Promise<ReturnType<typeof failureOf>> {
  return failureOf(await desk.run(['repo', ...args, '--json']));
}

/** A disk of another content. */
function otherDisk(name: string): string {
  return makeSystemDisk({ ...SMALL_DEBIAN, 'etc/hostname': `${name}\n` });
}

/** What virt-builder prints when it is pointed at the repository and trusts its key. */
function virtBuilder(args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsb-vb-'));
  const env = [
    ...[`GNUPGHOME=${gnupg.home}`, `XDG_CONFIG_HOME=${folder}`, `VIRT_BUILDER_DIRS=${folder}`],
    ...['LIBGUESTFS_BACKEND=direct', 'LIBGUESTFS_BACKEND_SETTINGS=force_tcg'],
  ];
  const source = ['--source', `file://${inRepo('index.asc')}`, '--fingerprint', fingerprint, '--no-cache'];
  try {
    return run('env', [...env, 'virt-builder', ...source, ...args]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function listedByVirtBuilder(): Record<string, unknown>[] {
  const list = virtBuilder(['--list', '--list-format', 'json']);
  return (JSON.parse(list) as { templates: Record<string, unknown>[] }).templates;
}

describe('a repository just begun', () => {
  it('is empty, signed, and accepted by everyone', async () => {
    expect(visible()).toEqual(['index.asc', 'key.asc']);
    expect(await json(['list', repo()])).toMatchObject({
      signedBy: fingerprint,
      keys: [fingerprint],
      templates: [],
    });
    gnupg.gpg(['--verify', inRepo('index.asc')]);
    expect(run('virt-index-validate', [inRepo('index.asc')])).toContain('validated OK');
    expect(listedByVirtBuilder()).toEqual([]);
    const ours = await desk.run(['--list', '--source', inRepo('index.asc'), '--key', inRepo('key.asc')]);
    expect({ status: ours.status, said: ours.stdout.toString().trim() }).toEqual({ status: 0, said: '' });
  });

  it('has its secret key outside, for its owner only', () => {
    const path = join(desk.path, 'data', 'keys', `${fingerprint.toLowerCase()}.asc`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, 'utf8')).toContain('PRIVATE KEY');
    expect(readFileSync(inRepo('key.asc'), 'utf8')).not.toContain('PRIVATE');
  });

  it('is not begun twice', async () => {
    const before = readFileSync(inRepo('index.asc'));
    expect((await failure(['init', repo()])).summary).toBe('7 TSB_OUTPUT_EXISTS');
    expect(readFileSync(inRepo('index.asc'))).toEqual(before);
  });
});

describe('repo add', () => {
  it('with --dry-run says what it would publish, and does nothing', async () => {
    const before = readFileSync(inRepo('index.asc'));
    expect(await json(['add', repo(), disk, 'deb', '--dry-run'])).toMatchObject({
      ...{
        name: 'deb',
        arch: 'x86_64',
        osinfo: 'debian12',
        format: 'raw',
        expand: '/dev/sda1',
        dryRun: true,
      },
      ...{ fullName: 'Debian GNU/Linux 12 (bookworm)', size: statSync(disk).size },
    });
    expect(visible()).toEqual(['index.asc', 'key.asc']);
    expect(readFileSync(inRepo('index.asc'))).toEqual(before);
  });

  it('publishes the disk with what it says of itself, and leaves it as it is', async () => {
    const before = sha512(readFileSync(disk));
    writeFileSync(desk.file('notizen.txt'), 'Eine Zeile.\n\nNoch eine.\n');
    const result = await json([
      ...['add', repo(), disk, 'deb', '--alias', 'latest', '--alias', 'stable'],
      ...['--notes', 'In English.', '--notes', `de=${desk.file('notizen.txt')}`],
    ]);
    expect(result).toMatchObject({ name: 'deb', revision: 1, changed: true, expand: '/dev/sda1' });
    expect(sha512(readFileSync(disk))).toBe(before);
    expect(visible()).toEqual(['deb-x86_64.r1.xz', 'deb-x86_64.r1.xz.blocks', 'index.asc', 'key.asc']);
    expect(result['sha512']).toBe(sha512(readFileSync(inRepo('deb-x86_64.r1.xz'))));
    expect(await litter(desk, ['repo', 'notizen.txt'])).toEqual([]);
  });

  it('convinces gpg, virt-index-validate, virt-builder and xz', () => {
    const status = gnupg.gpg(['--status-fd', '1', '--verify', inRepo('index.asc')]);
    expect(/VALIDSIG (\S+) \S+ \d+ 0 \S+ \S+ \S+ (\d+)/.exec(status)?.slice(1)).toEqual([fingerprint, '10']);
    expect(run('virt-index-validate', [inRepo('index.asc')])).toContain('validated OK');
    expect(listedByVirtBuilder()).toEqual([
      expect.objectContaining({
        ...{ 'os-version': 'deb', 'full-name': 'Debian GNU/Linux 12 (bookworm)', arch: 'x86_64' },
        ...{ size: statSync(disk).size, aliases: ['latest', 'stable'] },
        notes: { C: 'In English.', de: 'Eine Zeile.\nNoch eine.' },
      }),
    ]);
    const packed = inRepo('deb-x86_64.r1.xz');
    run('xz', ['-t', packed]);
    const list = run('xz', ['--list', '-vv', packed]);
    expect(list).toMatch(/Sizes in headers:\s+Yes/);
    expect(list).toMatch(/Check:\s+CRC64/);
  });

  it('is what tsbuilder builds from, by name and by alias', async () => {
    const trust = ['--source', `file://${inRepo('index.asc')}`, '--key', inRepo('key.asc')];
    for (const name of ['deb', 'latest']) {
      const output = `${name}.img`;
      resultOf(await desk.run([name, ...trust, '--size', '64M', '-o', output, '--json']));
      fsckOn(desk.file(output), 1);
      expect(debugfsOn(desk.file(output), 1, 'cat /etc/hostname')).toBe('first\n');
      rmSync(desk.file(output));
    }
  });

  it('is what virt-builder builds from', () => {
    const output = desk.file('theirs.img');
    virtBuilder(['deb', '--no-network', '--root-password', 'disabled', '--hostname', 'judged', '-o', output]);
    fsckOn(output, 1);
    expect(debugfsOn(output, 1, 'cat /etc/hostname')).toBe('judged\n');
    rmSync(output);
  });

  it('raises the revision for other content only, and keeps the revision before', async () => {
    const second = otherDisk('second');
    expect(await json(['add', repo(), disk, 'deb', '--full-name', 'Renamed'])).toMatchObject({
      ...{ revision: 1, changed: false },
    });
    expect(await json(['add', repo(), second, 'deb'])).toMatchObject({ revision: 2, changed: true });
    expect(visible().filter((name) => name.endsWith('.xz'))).toEqual([
      'deb-x86_64.r1.xz',
      'deb-x86_64.r2.xz',
    ]);
    expect(await json(['add', repo(), third, 'deb'])).toMatchObject({ revision: 3 });
    expect(visible().filter((name) => name.endsWith('.xz'))).toEqual([
      'deb-x86_64.r2.xz',
      'deb-x86_64.r3.xz',
    ]);
    expect(await json(['list', repo()])).toMatchObject({ templates: [{ revision: 3, former: [2] }] });
  });

  it('keeps notes, aliases and hiding from revision to revision, until told otherwise', async () => {
    const told = {
      aliases: ['latest', 'stable'],
      notes: { C: 'In English.', de: 'Eine Zeile.\nNoch eine.' },
    };
    expect(listedByVirtBuilder()).toEqual([expect.objectContaining({ ...told, hidden: false })]);
    await json(['add', repo(), third, 'deb', '--hidden', '--notes', 'Other.']);
    await json(['add', repo(), third, 'deb']);
    expect(listedByVirtBuilder()).toEqual([
      expect.objectContaining({ aliases: told.aliases, notes: { C: 'Other.' }, hidden: true }),
    ]);
    await json(['add', repo(), third, 'deb', '--no-hidden', '--notes', '', '--alias', '']);
    const [bare] = listedByVirtBuilder();
    expect(bare).toMatchObject({ hidden: false });
    expect(bare).not.toHaveProperty('notes');
    expect(bare).not.toHaveProperty('aliases');
  });
});

describe('repo remove', () => {
  it('takes a former revision away', async () => {
    expect(await json(['remove', repo(), 'deb', '--revision', '2'])).toMatchObject({ wasListed: false });
    expect(visible().filter((name) => name.endsWith('.xz'))).toEqual(['deb-x86_64.r3.xz']);
    expect((await failure(['remove', repo(), 'deb', '--revision', '2'])).summary).toBe('3 TSB_NOT_FOUND');
  });

  it('takes one of two templates out of the index; its files go with the next change', async () => {
    await json(['add', repo(), disk, 'deb', '--arch', 'aarch64']);
    expect((await failure(['remove', repo(), 'deb'])).summary).toBe('2 TSB_USAGE');
    await json(['remove', repo(), 'deb', '--arch', 'aarch64']);
    expect(listedByVirtBuilder()).toEqual([expect.objectContaining({ arch: 'x86_64' })]);
    expect(visible()).toContain('deb-aarch64.r1.xz');
    await json(['sign', repo()]);
    expect(visible()).toEqual(['deb-x86_64.r3.xz', 'deb-x86_64.r3.xz.blocks', 'index.asc', 'key.asc']);
    expect(await failure(['remove', repo(), 'other'])).toMatchObject({ hint: 'There is deb (x86_64).' });
  });
});

describe('what something else has changed', () => {
  it.each([
    [
      'a changed index',
      (text: string): string => text.replace('Debian GNU', 'Another GNU'),
      'TSB_SIGNATURE_BAD',
    ],
    [
      'an index without signature',
      (text: string): string => `${text.split('\n').slice(3, 6).join('\n')}\n`,
      'TSB_INDEX_UNSIGNED',
    ],
    [
      'text behind the signature',
      (text: string): string => `${text}[evil]\nfile=evil.xz\n`,
      'TSB_SIGNATURE_BAD',
    ],
  ])('is never signed: %s', async (_, change, code) => {
    const before = readFileSync(inRepo('index.asc'), 'utf8');
    const changed = change(before);
    expect(changed).not.toBe(before);
    writeFileSync(inRepo('index.asc'), changed);
    try {
      for (const args of [
        ['sign', repo()],
        ['add', repo(), disk, 'new'],
        ['remove', repo(), 'deb'],
        ['list', repo()],
        ['sign', repo(), '--new-key', 'generate'],
      ]) {
        const found = await failure(args);
        expect({ args, summary: found.summary }).toEqual({ args, summary: `4 ${code}` });
        expect(readFileSync(inRepo('index.asc'), 'utf8')).toBe(changed);
      }
      expect(visible().filter((name) => name.startsWith('new'))).toEqual([]);
    } finally {
      writeFileSync(inRepo('index.asc'), before);
    }
  });

  it('is never signed: an index of another key', async () => {
    await json(['init', desk.file('other')]);
    const before = readFileSync(inRepo('index.asc'), 'utf8');
    copyFileSync(join(desk.file('other'), 'index.asc'), inRepo('index.asc'));
    expect((await failure(['sign', repo()])).summary).toBe('4 TSB_SIGNATURE_WRONG_KEY');
    writeFileSync(inRepo('index.asc'), before);
    rmSync(desk.file('other'), { recursive: true });
  });
});
