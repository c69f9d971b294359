import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, open, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import Customize from '../../src/commands/customize.js';
import { run as runTool } from '../helpers/disk.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { SMALL_DEBIAN, debugfsOn, fsckOn, makeSystemDisk } from '../helpers/system-disk.js';

const ROOT = join(import.meta.dirname, '../..');
const ORIGINAL = makeSystemDisk(SMALL_DEBIAN);

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let config: Config;
let disk: string;

beforeEach(async () => {
  folder = await scratchFolder();
  config = await Config.load(ROOT);
  disk = join(folder.path, 'disk.img');
  await copyFile(ORIGINAL, disk);
  process.exitCode = undefined;
});
afterEach(async () => {
  process.exitCode = undefined;
  await folder[Symbol.asyncDispose]();
});

interface Ran {
  readonly result: unknown;
  readonly text: string;
  readonly warnings: string;
  readonly status: number;
}

/** Runs the command. */
async function customize(...words: string[]): Promise<Ran> {
  const { result, stdout, stderr, error } = await captureOutput(() => Customize.run([...words], config));
  if (error) throw error;
  return { result, text: stdout, warnings: stderr, status: Number(process.exitCode ?? 0) };
}

/** Runs it and expects a failure, which must leave the disk and its folder as they were. */
async function failing(...words: string[]): Promise<{ code: string; message: string; hint?: string }> {
  const before = [await readFile(disk), await readdir(folder.path)] as const;
  const { text, status } = await customize(...words, '--json');
  const { error } = JSON.parse(text) as {
    error: { code: string; message: string; hint?: string; exit: number };
  };
  expect(status).toBe(error.exit);
  expect((await readFile(disk)).equals(before[0])).toBe(true);
  expect(await readdir(folder.path)).toEqual(before[1]);
  return error;
}

const names = (): Promise<string[]> => readdir(folder.path);

describe('customize', () => {
  it('changes a copy that takes the place of the disk, and keeps the old one', async () => {
    await chmod(disk, 0o640);
    const { result, text } = await customize(disk, '--write', '/etc/motd:hi', '--mkdir', '/srv/x');
    expect(result).toMatchObject({ output: disk, format: 'raw', backup: `${disk}.bak`, rootLogin: 'locked' });
    expect(text).toMatch(
      /Done: write 2 bytes to \/etc\/motd\n +Done: make the folder \/srv\/x\n +Root login: locked/,
    );
    expect(debugfsOn(disk, 1, 'cat /etc/motd')).toBe('hi');
    fsckOn(disk, 1);
    expect((await stat(disk)).mode & 0o777).toBe(0o640);
    expect((await readFile(`${disk}.bak`)).equals(await readFile(ORIGINAL))).toBe(true);
    await customize(disk, '--write', '/etc/motd:again');
    expect(await names()).toEqual(['disk.img', 'disk.img.bak', 'disk.img.bak.1']);
    expect(debugfsOn(`${disk}.bak.1`, 1, 'cat /etc/motd')).toBe('hi');
  });

  it('takes the disk for what it is told to be', async () => {
    // A guest can write the header of a qcow2 image in front of its partitions.
    const header = Buffer.from('514649fb00000003', 'hex');
    await using file = await open(disk, 'r+');
    await file.write(header, 0, header.length, 0);
    expect((await failing(disk, '--mkdir', '/srv/x')).code).toBe('TSB_IMAGE_INVALID');
    process.exitCode = undefined;
    for (const [index, more] of [[], ['--no-backup'], ['--dry-run']].entries()) {
      const words = ['--input-format', 'raw', '--write', `/etc/motd:${index}`, ...more];
      const { result, status } = await customize(disk, ...words);
      expect(status).toBe(0);
      expect(result).toMatchObject(more[0] === '--dry-run' ? { plan: { disk } } : { format: 'raw' });
    }
    expect(debugfsOn(disk, 1, 'cat /etc/motd')).toBe('1');
    expect((await readFile(disk)).subarray(0, 8).equals(header)).toBe(true);
  });

  it('changes the disk itself without a backup, or leaves it and makes another', async () => {
    const { ino } = await stat(disk);
    await customize(disk, '--write', '/etc/motd:hi', '--no-backup');
    expect(debugfsOn(disk, 1, 'cat /etc/motd')).toBe('hi');
    expect((await stat(disk)).ino).toBe(ino);
    const other = join(folder.path, 'other.img');
    await customize(disk, '--write', '/etc/motd:other', '-o', other);
    expect(debugfsOn(disk, 1, 'cat /etc/motd')).toBe('hi');
    expect(debugfsOn(other, 1, 'cat /etc/motd')).toBe('other');
    expect(await names()).toEqual(['disk.img', 'other.img']);
    expect(await failing(disk, '--mkdir', '/x', '-o', other)).toMatchObject({ code: 'TSB_OUTPUT_EXISTS' });
    expect(await failing(disk, '--mkdir', '/x', '-o', disk)).toMatchObject({ code: 'TSB_USAGE' });
  });

  it('follows a link to the disk', async () => {
    await symlink('disk.img', join(folder.path, 'link'));
    await customize(join(folder.path, 'link'), '--write', '/etc/motd:hi');
    expect(debugfsOn(disk, 1, 'cat /etc/motd')).toBe('hi');
    expect(await names()).toEqual(['disk.img', 'disk.img.bak', 'link']);
  });

  it('does operations in the order of the command line, those of files among them', async () => {
    const list = join(folder.path, 'list');
    const yaml = join(folder.path, 'list.yaml');
    await writeFile(list, 'append-line /etc/motd:two\n');
    await writeFile(yaml, '- append-line: {path: /etc/motd, line: three}\n- append-line: /etc/motd:four\n');
    const last = ['--append-line', '/etc/motd:five'];
    const order = ['--write', '/etc/motd:one\n', '--commands-from-file', list, '--customize', yaml, ...last];
    await customize(disk, '--no-backup', '--root-password', 'random', ...order, '--quiet');
    expect(debugfsOn(disk, 1, 'cat /etc/motd')).toBe('one\ntwo\nthree\nfour\nfive\n');
  });

  it('makes a qcow2 image of the same kind again', async () => {
    const image = join(folder.path, 'disk.qcow2');
    for (const [options, compressed] of [
      [['-o', 'cluster_size=16k'], false],
      [['-c', '-o', 'cluster_size=128k,compression_type=zstd'], true],
    ] as const) {
      runTool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...options, disk, image]);
      const info = (): { 'cluster-size': number } =>
        JSON.parse(runTool('qemu-img', ['info', '--output=json', image])) as { 'cluster-size': number };
      const before = info();
      const { result } = await customize(image, '--write', '/etc/motd:hi', '--no-backup');
      expect(result).toMatchObject({ format: 'qcow2', backup: undefined });
      expect(info()['cluster-size']).toBe(before['cluster-size']);
      const check = runTool('qemu-img', ['check', '--output=json', image]);
      expect(((JSON.parse(check) as Record<string, number>)['compressed-clusters'] ?? 0) > 0).toBe(
        compressed,
      );
      runTool('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image, `${image}.raw`]);
      expect(debugfsOn(`${image}.raw`, 1, 'cat /etc/motd')).toBe('hi');
    }
    expect(await names()).toEqual(['disk.img', 'disk.qcow2', 'disk.qcow2.raw']);
  });

  it('prints what it would do, without secrets, and does nothing', async () => {
    const words = [disk, '--root-password', 'password:s3cret', '--hostname', 'web1', '--update', '--dry-run'];
    const { result, text } = await customize(...words);
    expect(text).toMatch(
      /System: Debian.*\n +Customise: .*web1\n *Run in the guest: .*\n +Customise: .*password of root/,
    );
    expect(result).toMatchObject({
      plan: { disk, customize: [{ runs: 'offline' }, { runs: 'in-guest' }, { runs: 'offline' }] },
    });
    expect(JSON.stringify(result) + text).not.toContain('s3cret');
    expect(await names()).toEqual(['disk.img']);
  });

  it('shows a password that it made once, or puts it into a private file', async () => {
    const made = await customize(disk, '--root-password', 'random', '--no-backup', '--quiet');
    expect(made.text).toMatch(/^password of root: [A-Za-z0-9]{16}\n$/);
    const file = join(folder.path, 'passwords');
    const kept = await customize(disk, '--root-password', 'random', '--no-backup', '--password-file', file);
    expect(kept.result).toMatchObject({ secrets: [] });
    const text = await readFile(file, 'utf8');
    expect(text).toMatch(/^password of root: \S{16}\n$/);
    expect(kept.text).not.toContain(text.slice(18, 34));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await failing(disk, '--root-password', 'random', '--no-backup', '--password-file', file);
    expect(again.code).toBe('TSB_OUTPUT_EXISTS');
    expect(again.hint).toContain('not even --force');
  });

  it('makes no file of passwords without passwords, and none in the place of the disk', async () => {
    const file = join(folder.path, 'no-passwords');
    await customize(disk, '--hostname', 'web1', '--no-backup', '--password-file', file);
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
    const output = join(folder.path, 'new.img');
    const same = ['--root-password', 'random', '--output', output, '--password-file', output];
    expect(await failing(disk, ...same)).toMatchObject({ code: 'TSB_USAGE' });
    await expect(stat(output)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('customize refuses', () => {
  it.each([
    ['nothing to do', [], 'TSB_USAGE'],
    ['an unknown operation', ['--unknown', 'x'], 'TSB_USAGE'],
    ['a missing argument', ['--hostname'], 'TSB_USAGE'],
    ['an empty argument', ['--hostname', ''], 'TSB_USAGE'],
    ['a list that is not there', ['--commands-from-file', '/nonexistent'], 'TSB_NOT_FOUND'],
    ['a missing file of the host', ['--mkdir', '/x', '--upload', '/nonexistent:/etc/x'], 'TSB_NOT_FOUND'],
    ['a user that does not exist', ['--mkdir', '/x', '--password', 'nobody-here:random'], 'TSB_GUEST'],
    ['a partition without a system', ['--mkdir', '/x', '--root', '2'], 'TSB_GUEST'],
    ['a bad way of hashing', ['--mkdir', '/x', '--password-crypto', 'des'], 'TSB_USAGE'],
  ])('%s, and leaves the disk as it was', async (_, words, code) => {
    expect((await failing(disk, ...words)).code).toBe(code);
    expect((await failing(disk, ...words, '--no-backup')).code).toBe(code);
  });

  it('a disk for cloud-init alone, because nothing is to be done to the disk', async () => {
    const data = join(folder.path, 'user-data');
    await writeFile(data, '#cloud-config\n');
    const words = ['--cloud-init', data, '--cloud-init-disk', join(folder.path, 'seed.img')];
    expect(await failing(disk, ...words)).toMatchObject({
      code: 'TSB_USAGE',
      message: expect.stringContaining('nothing is to be done to the disk') as string,
    });
    const missing = ['--cloud-init', `${data}x`, ...words.slice(2), '--mkdir', '/x'];
    expect(await failing(disk, ...missing, '--dry-run')).toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  it('and calls the disk by its name', async () => {
    const data = join(folder.path, 'user-data');
    await writeFile(data, '#cloud-config\n');
    const { warnings } = await customize(disk, '--cloud-init', data);
    expect(warnings).toContain(`warning: ${disk}: cloud-init is not installed`);
    expect(await failing(disk, '--chmod', '0644:/nonexistent')).toMatchObject({
      message: expect.stringMatching(new RegExp(`^--chmod: .*${disk}`)) as string,
    });
  });

  it('what is no disk that it can change', async () => {
    expect(await failing(`${disk}x`, '--mkdir', '/x')).toMatchObject({ code: 'TSB_NOT_FOUND' });
    expect(await failing(folder.path, '--mkdir', '/x')).toMatchObject({ code: 'TSB_USAGE' });
    for (const [tool, unpack] of [
      ['xz', 'tsbuilder unxz'],
      ['gzip', 'gunzip'],
      ['zstd', 'unzstd'],
    ] as const) {
      const packed = join(folder.path, `disk.${tool}`);
      await writeFile(packed, execFileSync(tool, ['-c'], { input: 'a disk' }));
      for (const more of [[], ['--no-backup'], ['--dry-run'], ['-o', join(folder.path, 'new')]])
        expect(await failing(packed, '--mkdir', '/x', ...more)).toMatchObject({
          code: 'TSB_USAGE',
          message: `${packed}: is compressed with ${tool}`,
          hint: expect.stringContaining(unpack) as string,
        });
    }
    const overlay = join(folder.path, 'overlay.qcow2');
    runTool('qemu-img', ['create', '-f', 'qcow2', '-F', 'raw', '-b', disk, overlay]);
    for (const more of [[], ['--input-format', 'qcow2']])
      expect((await failing(overlay, '--mkdir', '/x', ...more)).message).toContain('has a backing file');
    expect(await failing(disk, '--mkdir', '/x', '--input-format', 'qcow2')).toMatchObject({
      code: 'TSB_IMAGE_INVALID',
    });
  });

  it('a disk that a machine uses', async () => {
    const machine = spawn('qemu-io', ['-f', 'raw', disk], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      machine.stdin.write('read 0 512\n');
      await once(machine.stdout, 'data');
      for (const words of [[], ['--no-backup'], ['-o', join(folder.path, 'new.img')]])
        expect(await failing(disk, '--mkdir', '/x', ...words)).toMatchObject({ code: 'TSB_LOCKED' });
    } finally {
      machine.stdin.end('quit\n');
      await once(machine, 'close');
    }
  });
});
