import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readBounded } from '../../src/io/read-bounded.js';
import { tempFolder } from '../helpers/disk-tools.js';

describe('readBounded', () => {
  it('gives what is in a file, up to as many bytes as are allowed', async () => {
    using folder = tempFolder();
    const path = folder.file('small');
    writeFileSync(path, 'content');
    expect((await readBounded(path, 7))?.toString()).toBe('content');
    expect(await readBounded(path, 6)).toBeUndefined();
    writeFileSync(path, '');
    expect(await readBounded(path, 0)).toEqual(Buffer.alloc(0));
  });

  it('gives what comes out of a pipe, and of one without end no more than is needed', async () => {
    using folder = tempFolder();
    const path = folder.file('pipe');
    execFileSync('mkfifo', [path]);
    const writer = spawn('sh', ['-c', 'printf one; sleep 0.1; printf two', '-'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const into = spawn('sh', ['-c', 'exec cat >"$0"', path], { stdio: [writer.stdout, 'ignore', 'inherit'] });
    expect((await readBounded(path, 100))?.toString()).toBe('onetwo');
    if (into.exitCode === null) await once(into, 'exit');
    const endless = spawn('sh', ['-c', 'exec yes >"$0" 2>/dev/null', path]);
    const ended = once(endless, 'exit');
    expect(await readBounded(path, 100_000)).toBeUndefined();
    await ended;
  });

  it('throws what the system says', async () => {
    using folder = tempFolder();
    mkdirSync(folder.file('folder'));
    await expect(readBounded(folder.file('missing'), 1)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(readBounded(folder.file('folder'), 1)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});
