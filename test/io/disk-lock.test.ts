import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockDisk } from '../../src/io/disk-lock.js';
import { run } from '../helpers/disk.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

async function withDisk(work: (path: string) => Promise<void>): Promise<void> {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'disk.img');
  await writeFile(path, Buffer.alloc(1024 * 1024));
  await work(path);
}

/** Runs `work` while QEMU has the disk open for writing, as a machine would. */
async function whileInUse(path: string, work: () => Promise<void>): Promise<void> {
  const machine = spawn('qemu-io', ['-f', 'raw', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    machine.stdin.write('write 0 512\n');
    await once(machine.stdout, 'data');
    await work();
  } finally {
    machine.stdin.end('quit\n');
    await once(machine, 'close');
  }
}

describe('lockDisk', () => {
  it('refuses a disk that QEMU has open', () =>
    withDisk(async (path) => {
      await whileInUse(path, async () => {
        await expect(lockDisk(path)).rejects.toMatchObject({
          code: 'TSB_LOCKED',
          message: `${path}: is in use`,
        });
      });
      await (await lockDisk(path))[Symbol.asyncDispose]();
    }));

  it('keeps QEMU from writing until it is disposed of, but not from reading', () =>
    withDisk(async (path) => {
      const write = (): string => run('qemu-io', ['-f', 'raw', '-c', 'write 0 512', path]);
      const lock = await lockDisk(path);
      expect(write).toThrow(/lock/);
      expect(run('qemu-img', ['info', path])).toContain('raw');
      await lock[Symbol.asyncDispose]();
      expect(write()).toContain('wrote 512/512');
    }));

  it('refuses a disk that is locked by another lockDisk', () =>
    withDisk(async (path) => {
      await using _ = await lockDisk(path);
      await expect(lockDisk(path)).rejects.toMatchObject({ code: 'TSB_LOCKED' });
    }));

  it('lets several read a disk at once, and nobody while one writes to it', () =>
    withDisk(async (path) => {
      const locked = { code: 'TSB_LOCKED' };
      {
        await using _ = await lockDisk(path, 'read');
        await using other = await lockDisk(path, 'read');
        await other.assertUnchanged();
        const reader = run('qemu-io', ['-r', '-f', 'raw', '-c', 'read 0 512', path]);
        expect(reader).toContain('read 512/512');
        for (const use of ['replace', 'write'] as const)
          await expect(lockDisk(path, use)).rejects.toMatchObject(locked);
      }
      await using _ = await lockDisk(path, 'write');
      for (const use of ['read', 'replace', 'write'] as const)
        await expect(lockDisk(path, use)).rejects.toMatchObject(locked);
    }));

  it('does not let one read what QEMU writes to', () =>
    withDisk(async (path) => {
      await whileInUse(path, async () => {
        await expect(lockDisk(path, 'read')).rejects.toMatchObject({ code: 'TSB_LOCKED' });
      });
    }));

  it('notices what is written meanwhile', () =>
    withDisk(async (path) => {
      await using lock = await lockDisk(path);
      await lock.assertUnchanged();
      await appendFile(path, 'x');
      await expect(lock.assertUnchanged()).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
    }));

  it('tells a disk that is not there from one that cannot be opened', async () => {
    await expect(lockDisk('/nonexistent/disk')).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    const inFile = `${import.meta.filename}/disk`;
    await expect(lockDisk(inFile)).rejects.toMatchObject({ code: 'TSB_IO' });
  });
});
