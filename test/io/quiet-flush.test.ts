import { open } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openOutputFile } from '../../src/io/output-file.js';
import { exec } from '../../src/io/exec.js';
import { noFlushEnv } from '../../src/io/quiet-flush.js';
import { openRawWriter } from '../../src/image/raw-writer.js';
import { extentStates, requireExt4, run, tempFolder } from '../helpers/disk-tools.js';

const MIB = 1024 * 1024;
const OFFSET = MIB;
// resize2fs cuts a larger file off at the filesystem's new size, whatever the offset.
const DISK = 500 * MIB;

/** A fresh disk with a partition's worth of ext4 and 300 MiB of data in it, all of it in the page cache only. */
async function freshDisk(template: string, path: string): Promise<void> {
  await using writer = await openRawWriter(path, DISK);
  const source = await open(template, 'r');
  const buffer = Buffer.alloc(MIB);
  for (let at = 0; at < DISK; at += MIB) {
    await source.read(buffer, 0, MIB, at);
    if (at >= 128 * MIB && at < 428 * MIB) buffer.fill(at / MIB);
    await writer.write(at, buffer);
  }
  await source.close();
  await writer.finish();
}

async function workOn(disk: string, env: Record<string, string>): Promise<void> {
  const inside = `${disk}?offset=${OFFSET}`;
  await exec('e2fsck', ['-fp', inside], { env, okStatus: [0, 1] });
  await exec('resize2fs', [inside, '500M'], { env });
  await exec('debugfs', ['-w', '-f', '-', inside], { env, input: 'mkdir /made\n' });
}

describe('noFlushEnv', () => {
  it('finds libeatmydata and keeps what is preloaded', () => {
    expect(noFlushEnv()['LD_PRELOAD']).toMatch(/\/libeatmydata\.so/);
    process.env['LD_PRELOAD'] = '/some/other.so';
    try {
      expect(noFlushEnv()['LD_PRELOAD']).toMatch(/^\/.*libeatmydata\.so[.\d]*:\/some\/other\.so$/);
    } finally {
      delete process.env['LD_PRELOAD'];
    }
  });

  // Somebody else's sync(1) in these seconds would flush it too: hence the second chance.
  it('keeps e2fsprogs from flushing a fresh image, which they do without it', { retry: 2 }, async () => {
    using folder = tempFolder();
    requireExt4(folder.path);
    const template = folder.file('template');
    run('truncate', '-s', String(DISK), template);
    run(
      'mkfs.ext4',
      '-q',
      '-F',
      '-b',
      '4096',
      '-O',
      '^has_journal',
      '-E',
      `offset=${OFFSET}`,
      template,
      '400M',
    );
    for (const { env, name } of [
      { env: noFlushEnv(), name: 'quiet' },
      { env: {}, name: 'loud' },
    ]) {
      await using output = await openOutputFile(folder.file(name));
      await freshDisk(template, output.tempPath);
      expect(extentStates(output.tempPath)).toMatchObject({ placed: 0 });
      await workOn(output.tempPath, env);
      const states = extentStates(output.tempPath);
      if (name === 'quiet') expect(states.placed).toBe(0);
      else expect(states.placed).toBeGreaterThan(0);
      expect(run('debugfs', '-R', 'stat /made', `${output.tempPath}?offset=${OFFSET}`)).toContain(
        'directory',
      );
    }
  });
});
