import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openGrowingRawWriter, openRawWriter } from '../../src/image/raw-writer.js';
import * as libc from '../../src/io/libc.js';
import { type TempFolder, emptyFile, tempFolder } from '../helpers/disk-tools.js';

vi.mock('../../src/io/libc.js', { spy: true });

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => {
  vi.mocked(libc.punchHole).mockReset();
  folder[Symbol.dispose]();
});

const KIB = 1024;

describe('openRawWriter', () => {
  it('writes a sparse file of the exact size', async () => {
    const path = emptyFile(folder.file('disk'));
    await using writer = await openRawWriter(path, 10_000_000_001);
    await Promise.all([
      writer.write(9_999_999_000, Buffer.alloc(1001, 1)),
      writer.write(100, Buffer.alloc(100, 2)),
      writer.zero(1_000_000, 8_000_000_000),
    ]);
    await writer.finish();
    const { size, blocks } = statSync(path);
    expect(size).toBe(10_000_000_001);
    expect(blocks * 512).toBeLessThanOrEqual(16 * KIB);
  });

  it.each([true, false])('zeroes what was written before, koffi: %s', async (koffi) => {
    if (!koffi) vi.mocked(libc.punchHole).mockResolvedValue(false);
    const path = emptyFile(folder.file('disk'));
    await using writer = await openRawWriter(path, 3 * 1024 * KIB);
    await writer.write(0, Buffer.alloc(3 * 1024 * KIB, 7));
    await writer.zero(10 * KIB + 1, 2 * 1024 * KIB);
    await writer.finish();
    const expected = Buffer.alloc(3 * 1024 * KIB, 7).fill(0, 10 * KIB + 1, 10 * KIB + 1 + 2 * 1024 * KIB);
    expect(readFileSync(path).equals(expected)).toBe(true);
    if (koffi) expect(statSync(path).blocks * 512).toBeLessThan(1200 * KIB);
  });

  it('refuses a range outside the disk', async () => {
    await using writer = await openRawWriter(emptyFile(folder.file('disk')), 100);
    await expect(writer.write(90, Buffer.alloc(11))).rejects.toThrow(RangeError);
    await expect(writer.zero(-1, 5)).rejects.toThrow(RangeError);
    await expect(writer.zero(0.5, 5)).rejects.toThrow(RangeError);
  });

  it('refuses a file that is not new, and leaves it alone', async () => {
    const path = folder.file('disk');
    writeFileSync(path, 'precious');
    await expect(openRawWriter(path, 100)).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
    expect(readFileSync(path, 'utf8')).toBe('precious');
    await expect(openRawWriter(folder.file('none'), 100)).rejects.toMatchObject({ code: 'TSB_IO' });
  });

  it('says when the filesystem cannot hold such a file', async () => {
    await expect(openRawWriter(emptyFile(folder.file('disk')), 2 ** 52)).rejects.toMatchObject({
      code: 'TSB_OUTPUT_UNUSABLE',
      message: expect.stringContaining('cannot hold a file that large') as string,
    });
  });
});

describe('a full disk', () => {
  it('is one clear error for every format, and nothing is left', () => {
    // In a mount namespace of its own, so that it needs no more than a user namespace and leaves nothing mounted.
    const program = join(import.meta.dirname, '../helpers/fill-disk.ts');
    const script = `mount -t tmpfs -o size=8m tmpfs ${folder.path} && exec ${process.execPath} --import tsx ${program} ${folder.path}`;
    const output = execFileSync('unshare', ['-Urm', 'sh', '-c', script], { encoding: 'utf8' });
    expect(output.trim().split('\n')).toEqual(
      ['raw', 'qcow2', 'zlib', 'full before'].map(
        (kind) => `${kind}: TSB_NO_SPACE no space left on its filesystem; left: -`,
      ),
    );
  });
});

describe('openGrowingRawWriter', () => {
  it('ends the disk where the last call ended, with holes for zeros', async () => {
    for (const tail of [0, 5_000_000_000]) {
      const path = emptyFile(folder.file(`disk-${tail}`));
      await using writer = await openGrowingRawWriter(path);
      await writer.zero(0, 1_000_000);
      await writer.write(1_000_000, Buffer.alloc(1001, 1));
      await writer.zero(1_001_001, tail);
      await writer.finish();
      expect(writer.size).toBe(1_001_001 + tail);
      const { size, blocks } = statSync(path);
      expect(size).toBe(1_001_001 + tail);
      expect(blocks * 512).toBeLessThanOrEqual(16 * KIB);
    }
  });
});
