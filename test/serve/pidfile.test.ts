import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { openPidfile } from '../../src/serve/pidfile.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

/** The number of a process that has ended. */
async function deadPid(): Promise<string> {
  return (await exec('/bin/sh', ['-c', 'echo $$'])).stdout.trim();
}

describe('openPidfile', () => {
  it('lets the file appear when it is told to, and removes it', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'pid');
    {
      await using pidfile = await openPidfile(path);
      expect(await readdir(folder.path)).toEqual([]);
      await pidfile.write();
      expect(await readFile(path, 'utf8')).toBe(`${process.pid}\n`);
    }
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('takes the place of a file whose process has gone', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'pid');
    await writeFile(path, `${await deadPid()}\n`);
    await using pidfile = await openPidfile(path);
    await pidfile.write();
    expect(await readFile(path, 'utf8')).toBe(`${process.pid}\n`);
  });

  it('takes the place of a file whose number is that of another process by now', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'pid');
    await writeFile(path, '1\n');
    await using pidfile = await openPidfile(path);
    await pidfile.write();
    expect(await readFile(path, 'utf8')).toBe(`${process.pid}\n`);
  });

  it('refuses the file of a running server, and leaves it', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'pid');
    await writeFile(path, '1\n');
    {
      await using running = await openPidfile(path);
      await running.write();
      await expect(openPidfile(path)).rejects.toMatchObject({
        code: 'TSB_LOCKED',
        details: { pid: process.pid },
      });
      expect(await readFile(path, 'utf8')).toBe(`${process.pid}\n`);
    }
    await using next = await openPidfile(path);
    await next.write();
  });

  it.each(['', 'my diary', '0', '-1', '12 34'])('leaves a file that is none: %j', async (text) => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'pid');
    await writeFile(path, text);
    await expect(openPidfile(path)).rejects.toMatchObject({ code: 'TSB_OUTPUT_EXISTS' });
    expect(await readFile(path, 'utf8')).toBe(text);
    await expect(openPidfile(folder.path)).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
  });

  it('does not remove what another process has put there', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'pid');
    const pidfile = await openPidfile(path);
    await pidfile.write();
    await writeFile(path, '1\n');
    await pidfile[Symbol.asyncDispose]();
    expect(await readFile(path, 'utf8')).toBe('1\n');
  });

  it('lets one of two have it', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'pid');
    await using one = await openPidfile(path);
    await using other = await openPidfile(path);
    await one.write();
    await expect(other.write()).rejects.toMatchObject({ code: 'TSB_OUTPUT_EXISTS' });
  });
});
