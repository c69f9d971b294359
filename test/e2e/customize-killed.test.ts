import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { lockDisk } from '../../src/io/disk-lock.js';
import { type Desk, failureOf, newDesk, resultOf } from '../helpers/e2e.js';
import { SMALL_DEBIAN, debugfsOn, fsckOn, makeSystemDisk } from '../helpers/system-disk.js';

vi.setConfig({ testTimeout: 60_000 });

/** A PATH on which debugfs says that it has begun, and waits with its work until it is let go. */
function slowDebugfs(desk: Desk): { PATH: string; begun: string; go: string } {
  const folder = join(desk.path, 'slow');
  const [begun, go] = [join(folder, 'begun'), join(folder, 'go')];
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'debugfs'),
    `#!/bin/sh\ntouch ${begun}\nuntil [ -e ${go} ]; do sleep 0.05; done\nexec /usr/sbin/debugfs "$@"\n`,
  );
  chmodSync(join(folder, 'debugfs'), 0o755);
  return { PATH: `${folder}:${desk.env['PATH'] ?? ''}`, begun, go };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}

const isLocked = (path: string): Promise<boolean> =>
  lockDisk(path).then(
    async (lock) => {
      await lock[Symbol.asyncDispose]();
      return false;
    },
    () => true,
  );

it('a disk that is changed itself stays locked, and is changed wholly, when the program is killed', async () => {
  await using desk = await newDesk();
  const disk = desk.file('disk.img');
  copyFileSync(makeSystemDisk(SMALL_DEBIAN), disk);
  const { PATH, begun, go } = slowDebugfs(desk);
  const writes = Array.from({ length: 2000 }, (_, index) => `write /srv/${index}:content ${index}`);
  writeFileSync(desk.file('list'), ['mkdir /srv', ...writes].join('\n'));
  const words = ['customize', disk, '--no-backup', '--json'];
  const running = desk.start([...words, '--commands-from-file', desk.file('list')], { env: { PATH } });
  await until(() => existsSync(begun));
  running.child.kill('SIGKILL');
  expect((await running.ended).signal).toBe('SIGKILL');
  expect(failureOf(await desk.run([...words, '--mkdir', '/x'])).summary).toMatch(/TSB_LOCKED$/);
  writeFileSync(go, '');
  await until(async () => !(await isLocked(disk)));
  fsckOn(disk, 1);
  expect(debugfsOn(disk, 1, 'cat /srv/1999')).toBe('content 1999');
  resultOf(await desk.run([...words, '--mkdir', '/x']));
  expect(debugfsOn(disk, 1, 'stat /x')).toContain('directory');
  expect(readdirSync(join(desk.path, 'tmp'))).toEqual([]);
});

it.each(['--root-password file:', '--upload ', '--commands-from-file '])(
  'ends when it is interrupted while it waits for the writer of a pipe: %s',
  async (option) => {
    await using desk = await newDesk();
    const disk = desk.file('disk.img');
    copyFileSync(makeSystemDisk(SMALL_DEBIAN), disk);
    execFileSync('mkfifo', [desk.file('pipe')]);
    const words = `${option}${desk.file('pipe')}${option === '--upload ' ? ':/x' : ''}`.split(' ');
    const running = desk.start(['customize', disk, '--json', ...words]);
    // The disk is copied before an operation reads its files; a list is read first of all.
    const isCopying = (): boolean => readdirSync(desk.work).length > 2;
    if (option.startsWith('--commands')) await sleep(1500);
    else await until(isCopying);
    await sleep(500);
    running.child.kill('SIGINT');
    const outcome = await running.ended;
    expect(JSON.parse(outcome.stdout.toString())).toMatchObject({ error: { code: 'TSB_INTERRUPTED' } });
    expect(outcome.status ?? outcome.signal).toBe('SIGINT');
    expect(readdirSync(desk.work).sort()).toEqual(['disk.img', 'pipe']);
    expect(readdirSync(join(desk.path, 'tmp'))).toEqual([]);
  },
);
