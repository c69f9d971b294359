import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { formatIdentity, ownIdentity } from '../../src/io/process-identity.js';
import { openScratchFolder, sweepScratchFolders } from '../../src/io/scratch-folder.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

/** No process has this number. */
const DEAD = formatIdentity({ ...ownIdentity(), pid: 2 ** 30 });
const ELSEWHERE = formatIdentity({ ...ownIdentity(), pid: 2 ** 30, table: '0123456789abcdef' });

describe('a scratch folder', () => {
  it('is private, names its process and is gone when it is disposed of', async () => {
    const folder = await openScratchFolder('test');
    expect(dirname(folder.path)).toBe(tmpdir());
    expect(basename(folder.path)).toContain(`tsbuilder-test-${formatIdentity(ownIdentity())}-`);
    expect(lstatSync(folder.path).mode & 0o777).toBe(0o700);
    writeFileSync(join(folder.path, 'file'), 'x');
    await folder[Symbol.asyncDispose]();
    expect(existsSync(folder.path)).toBe(false);
  });
});

describe('a sweep', () => {
  it('removes folders of dead processes and nothing else', async () => {
    await using parent = await scratchFolder();
    const at = (name: string): string => join(parent.path, name);
    const kept = [
      `tsbuilder-e2fs-${formatIdentity(ownIdentity())}-abcdef`,
      `tsbuilder-e2fs-${ELSEWHERE}-abcdef`,
      `tsbuilder-e2fs-${DEAD}`,
      `other-e2fs-${DEAD}-abcdef`,
      'tsbuilder-e2fs-abcdef',
    ];
    const dead = [`tsbuilder-e2fs-${DEAD}-abcdef`, `tsbuilder-spool-${DEAD}-ABC123`];
    for (const name of [...kept, ...dead]) {
      mkdirSync(at(name));
      writeFileSync(join(at(name), 'file'), 'x');
    }
    const outside = at('outside');
    mkdirSync(outside);
    symlinkSync(outside, at(`tsbuilder-e2fs-${DEAD}-linked`));
    writeFileSync(at(`tsbuilder-e2fs-${DEAD}-afile1`), 'x');
    await sweepScratchFolders(parent.path);
    const left = [...kept, 'outside', `tsbuilder-e2fs-${DEAD}-linked`, `tsbuilder-e2fs-${DEAD}-afile1`];
    expect(readdirSync(parent.path).sort()).toEqual(left.sort());
  });

  it('leaves the folder of a program that outlives the process which started it, until it has ended', async () => {
    await using parent = await scratchFolder();
    const path = join(parent.path, `tsbuilder-e2fs-${DEAD}-abcdef`);
    mkdirSync(path);
    const child = spawn('sleep', ['60'], { cwd: path, stdio: 'ignore' });
    await once(child, 'spawn');
    try {
      await sweepScratchFolders(parent.path);
      expect(existsSync(path)).toBe(true);
    } finally {
      child.kill();
      await once(child, 'exit');
    }
    await sweepScratchFolders(parent.path);
    expect(existsSync(path)).toBe(false);
  });

  it('of a folder that is not there does nothing', async () => {
    await expect(sweepScratchFolders('/nonexistent/folder')).resolves.toBeUndefined();
  });
});
