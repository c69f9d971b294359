import { spawnSync } from 'node:child_process';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { assertCustomizable } from '../../src/build/assert-customizable.js';
import { type CloudInitDiskMeans, withCloudInitDisk } from '../../src/build/cloud-init-disk.js';
import { parseCommands } from '../../src/customize/parse-commands.js';
import { planCustomize } from '../../src/customize/plan-customize.js';
import { seededRandom } from '../../src/io/random.js';
import { silentProgress } from '../../src/progress.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const means = (image: string): CloudInitDiskMeans => ({
  image,
  random: seededRandom('test'),
  fakeTime: 1_700_000_000,
  force: false,
  sync: false,
  progress: silentProgress,
  signal: new AbortController().signal,
});

function output(program: string, args: readonly string[]): string {
  const { status, stdout } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, MTOOLS_SKIP_CHECK: '1', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  });
  expect(status).toBe(0);
  return stdout;
}

describe('a disk for cloud-init beside the image', () => {
  it('has the label and the files that cloud-init looks for, and appears when the work is done', async () => {
    await using folder = await scratchFolder();
    const [path, userData] = [join(folder.path, 'seed.img'), join(folder.path, 'user-data')];
    await writeFile(userData, '#cloud-config\n{}\n');
    const disk = { path, choice: { userData } };
    const result = await withCloudInitDisk(disk, means('/elsewhere'), async () => {
      await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
      return 42;
    });
    expect(result).toBe(42);
    expect(output('blkid', ['-o', 'value', '-s', 'LABEL', path])).toBe('CIDATA\n');
    expect(output('blkid', ['-o', 'value', '-s', 'TYPE', path])).toBe('vfat\n');
    expect(output('mtype', ['-i', path, '::/user-data'])).toBe('#cloud-config\n{}\n');
    expect(output('mtype', ['-i', path, '::/meta-data'])).toMatch(/^instance-id: iid-[0-9a-f-]{36}\n$/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('is not left when the work fails, nor made over the image', async () => {
    await using folder = await scratchFolder();
    const [path, userData] = [join(folder.path, 'seed.img'), join(folder.path, 'user-data')];
    await writeFile(userData, '#cloud-config\n{}\n');
    const disk = { path, choice: { userData } };
    const fails = (): Promise<never> => Promise.reject(new Error('no disk'));
    await expect(withCloudInitDisk(disk, means('/elsewhere'), fails)).rejects.toThrow('no disk');
    await expect(withCloudInitDisk(disk, means(path), fails)).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(await readdir(folder.path)).toEqual(['user-data']);
  });

  it('never takes the place of what it is made of, not even by force', async () => {
    await using folder = await scratchFolder();
    const [userData, metaData] = [join(folder.path, 'user-data'), join(folder.path, 'meta-data')];
    await writeFile(userData, '#cloud-config\n{}\n');
    await writeFile(metaData, 'instance-id: a\n');
    const force = { ...means('/elsewhere'), force: true };
    for (const path of [userData, metaData])
      await expect(
        withCloudInitDisk({ path, choice: { userData, metaData } }, force, () => Promise.resolve()),
      ).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(await readFile(metaData, 'utf8')).toBe('instance-id: a\n');
  });
});

describe('what operations need of this machine', () => {
  const check = (commands: string): Promise<void> =>
    assertCustomizable(
      { stages: planCustomize(parseCommands('test', commands).operations) },
      new AbortController().signal,
    );

  it('is looked for, too, where it goes to a disk for cloud-init', async () => {
    const cloudInitDisk = { path: '/elsewhere', choice: { userData: '/dev/null', metaData: '/nowhere' } };
    await expect(
      assertCustomizable({ stages: [], cloudInitDisk }, new AbortController().signal),
    ).rejects.toMatchObject({ code: 'TSB_NOT_FOUND', message: '--cloud-init: /nowhere: no such file' });
  });

  it('is looked for where it is attached for programs of the guest', async () => {
    const machine = { network: true, attach: ['/dev/null', '/nowhere.iso'] };
    await expect(
      assertCustomizable({ stages: [], machine }, new AbortController().signal),
    ).rejects.toMatchObject({ code: 'TSB_NOT_FOUND', message: '--attach: /nowhere.iso: no such file' });
  });

  it.each([
    ['upload /nowhere/file:/x', 'TSB_NOT_FOUND', '--upload: /nowhere/file: no such file'],
    ['upload /etc:/x', 'TSB_USAGE', '--upload: /etc: is a folder'],
    ['copy-in /nowhere:/x', 'TSB_NOT_FOUND', '--copy-in: /nowhere: no such file'],
    ['tar-in /nowhere.tar:/x', 'TSB_NOT_FOUND', '--tar-in: '],
    ['cloud-init /dev/null::/nowhere', 'TSB_NOT_FOUND', '--cloud-init: /nowhere: '],
    ['firstboot /nowhere', 'TSB_NOT_FOUND', '--firstboot: '],
    ['run /nowhere', 'TSB_NOT_FOUND', '--run: '],
    ['root-password file:/nowhere', 'TSB_NOT_FOUND', '--root-password: '],
    ['password bob:locked:file:/nowhere', 'TSB_NOT_FOUND', '--password: '],
    ['ssh-inject root:file:/nowhere', 'TSB_NOT_FOUND', '--ssh-inject: '],
    ['user bob:key=/nowhere', 'TSB_NOT_FOUND', '--user: '],
    ['user bob:password=file:/nowhere', 'TSB_NOT_FOUND', '--user: '],
  ])('is looked for before any work: %s', async (commands, code, message) => {
    const failure = await check(commands).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code });
    expect(String(failure)).toContain(message);
  });

  it('may be a folder to copy, and is nothing for most', async () => {
    await expect(
      check('copy-in /etc:/x\nhostname web1\nssh-inject root:string:key'),
    ).resolves.toBeUndefined();
  });

  it('is libguestfs where programs of the guest are to be run', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      await expect(check('hostname a\ninstall nginx\nrun-command x')).rejects.toMatchObject({
        code: 'TSB_TOOL_MISSING',
        message: expect.stringContaining('--install needs libguestfs') as string,
        hint: expect.stringContaining('libguestfs-tools') as string,
      });
      await expect(check('hostname a')).resolves.toBeUndefined();
    } finally {
      process.env['PATH'] = path;
    }
  });
});
