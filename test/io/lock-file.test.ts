import { lutimes, mkdir, readFile, readdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock, tryLock, withLock } from '../../src/io/lock-file.js';
import { formatIdentity, ownIdentity } from '../../src/io/process-identity.js';
import { startChild } from '../helpers/child-process.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let path: string;
beforeEach(async () => {
  folder = await scratchFolder();
  path = join(folder.path, 'lock');
});
afterEach(() => folder[Symbol.asyncDispose]());

const TOKEN = '0123456789abcdef';
const elsewhere = { ...ownIdentity(), table: '0000000000000000' };

/** Plants a lock that somebody else left. */
async function plant(identity: Parameters<typeof formatIdentity>[0], ageMs = 0): Promise<void> {
  await symlink(`${TOKEN}:${formatIdentity(identity)}:host`, path);
  const then = new Date(Date.now() - ageMs);
  await lutimes(path, then, then);
}

describe('lock', () => {
  it('is exclusive, also inside one process, and leaves nothing behind', async () => {
    const first = await acquireLock(path);
    expect(await tryLock(path)).toBeUndefined();
    await first[Symbol.asyncDispose]();
    await using second = await tryLock(path);
    expect(second?.path).toBe(path);
    await first[Symbol.asyncDispose]();
    expect(await readlink(path)).toContain(formatIdentity(ownIdentity()));
    await second?.[Symbol.asyncDispose]();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('runs one action at a time and goes also when the action throws', async () => {
    let inside = 0;
    const run = (index: number): Promise<void> =>
      withLock(path, {}, async () => {
        inside += 1;
        expect(inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside -= 1;
        if (index % 2 === 1) throw new Error('action failed');
      });
    const results = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => run(index)));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(5);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('tells once whom it waits for, and stops waiting when told to', async () => {
    await using held = await acquireLock(path);
    expect(held.lost.aborted).toBe(false);
    const holders: string[] = [];
    const controller = new AbortController();
    const wait = acquireLock(path, { signal: controller.signal, onWait: (holder) => holders.push(holder) });
    setTimeout(() => controller.abort(new Error('enough')), 100);
    await expect(wait).rejects.toThrow('enough');
    expect(holders).toEqual([expect.stringMatching(`^process ${process.pid} on `)]);
  });

  it('is taken at once from a process that is gone, even if its pid is in use again', async () => {
    await plant({ ...ownIdentity(), startTime: '1' });
    await using lock = await tryLock(path);
    expect(lock).toBeDefined();
    await lock?.[Symbol.asyncDispose]();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('of another machine is left alone while it is touched, and taken when it is not', async () => {
    await plant(elsewhere, 50_000);
    expect(await tryLock(path)).toBeUndefined();
    await using lock = await tryLock(path, { staleMs: 40_000 });
    expect(lock).toBeDefined();
  });

  it('is touched by its holder', async () => {
    await using lock = await acquireLock(path, { heartbeatMs: 10 });
    await lutimes(path, new Date(0), new Date(0));
    await expect.poll(() => tryLock(path, { staleMs: 60_000 })).toBeUndefined();
    const { lstat } = await import('node:fs/promises');
    await expect.poll(async () => (await lstat(path)).mtimeMs).toBeGreaterThan(1000);
    expect(lock.lost.aborted).toBe(false);
  });

  it('tells its holder that it was taken, and is not removed by that holder', async () => {
    const lock = await acquireLock(path, { heartbeatMs: 10 });
    const { unlink } = await import('node:fs/promises');
    await unlink(path);
    await plant(elsewhere);
    await expect.poll(() => lock.lost.aborted).toBe(true);
    await lock[Symbol.asyncDispose]();
    expect(await readlink(path)).toContain(TOKEN);
  });

  it('survives a process that died while it removed an abandoned lock', async () => {
    const dead = { ...ownIdentity(), startTime: '1' };
    await plant(dead);
    await symlink(`fedcba9876543210:${formatIdentity(dead)}:host`, `${path}.${TOKEN}`);
    await using lock = await acquireLock(path);
    await lock[Symbol.asyncDispose]();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('does not remove what is no lock', async () => {
    await writeFile(path, 'mine');
    await expect(tryLock(path)).rejects.toMatchObject({ code: 'TSB_LOCKED' });
    expect(await readFile(path, 'utf8')).toBe('mine');
  });

  it('reports a folder that cannot hold it', async () => {
    await expect(acquireLock(join(folder.path, 'no', 'lock'))).rejects.toMatchObject({
      code: 'TSB_LOCKED',
      details: { errno: 'ENOENT' },
    });
  });

  it('admits one of twenty processes at a time, some of which are killed while they hold it', async () => {
    const log = join(folder.path, 'log');
    const locks = join(folder.path, 'locks');
    await mkdir(locks);
    const args = [join(locks, 'lock'), join(folder.path, 'inside'), log];
    const children = Array.from({ length: 20 }, (_, index) =>
      startChild('lock-child', [...args, index % 4 === 0 ? 'die' : 'live']),
    );
    const results = await Promise.all(children.map(({ ended }) => ended));
    expect(results.map(({ stderr }) => stderr).join('')).toBe('');
    expect(results.filter(({ signal }) => signal === 'SIGKILL')).toHaveLength(5);
    expect(results.filter(({ status }) => status === 0)).toHaveLength(15);
    const lines = (await readFile(log, 'utf8')).trim().split('\n');
    expect(lines).not.toContain('collision');
    expect(lines).toHaveLength(15 * 3 + 5 * 2);
    const left = await readdir(locks);
    expect(left.length).toBeLessThanOrEqual(1);
    await withLock(join(locks, 'lock'), {}, () => Promise.resolve());
    expect(await readdir(locks)).toEqual([]);
  });
});
