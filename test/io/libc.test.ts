import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  blockDeviceBytes,
  exchangeNames,
  hasLibc,
  punchHole,
  renameNoReplace,
  seekData,
  seekHole,
} from '../../src/io/libc.js';
import { tempFolder } from '../helpers/disk-tools.js';

const MIB = 1024 * 1024;

function withSparseFile<T>(use: (fd: number) => T): T {
  using folder = tempFolder();
  const fd = openSync(folder.file('sparse'), 'w+');
  try {
    ftruncateSync(fd, MIB);
    writeSync(fd, Buffer.alloc(8192, 1), 0, 8192, 65536);
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

describe('libc', () => {
  it('is there', () => {
    expect(hasLibc()).toBe(true);
  });

  it('finds data and holes', () => {
    withSparseFile((fd) => {
      expect(seekData(fd, 0)).toBe(65536);
      expect(seekHole(fd, 65536)).toBe(65536 + 8192);
      expect(seekData(fd, 65536 + 8192)).toBe(Infinity);
      expect(seekHole(fd, 500_000)).toBe(500_000);
    });
  });

  it('cannot tell about a descriptor that is not open', () => {
    expect(seekData(9999, 0)).toBeUndefined();
  });

  it('punches holes', async () => {
    using folder = tempFolder();
    const path = folder.file('data');
    writeFileSync(path, Buffer.alloc(65536, 7));
    const fd = openSync(path, 'r+');
    expect(await punchHole(fd, 4096, 8192)).toBe(true);
    expect(seekHole(fd, 0)).toBe(4096);
    closeSync(fd);
    const content = readFileSync(path);
    expect(content.length).toBe(65536);
    expect(content.subarray(4096, 12288).equals(Buffer.alloc(8192))).toBe(true);
    expect([content[4095], content[12288]]).toEqual([7, 7]);
  });

  it('says false where a hole cannot be punched', async () => {
    const fd = openSync('/dev/null', 'r+');
    expect(await punchHole(fd, 0, 4096)).toBe(false);
    expect(blockDeviceBytes(fd)).toBeUndefined();
    closeSync(fd);
  });

  it('exchanges names', () => {
    using folder = tempFolder();
    writeFileSync(folder.file('a'), 'A');
    writeFileSync(folder.file('b'), 'B');
    expect(exchangeNames(folder.file('a'), folder.file('b'))).toBe(true);
    expect(readFileSync(folder.file('a'), 'utf8') + readFileSync(folder.file('b'), 'utf8')).toBe('BA');
    expect(() => exchangeNames(folder.file('a'), folder.file('none'))).toThrow(/ENOENT/);
  });

  it('renames without replacing', () => {
    using folder = tempFolder();
    writeFileSync(folder.file('a'), 'A');
    writeFileSync(folder.file('b'), 'B');
    expect(() => renameNoReplace(folder.file('a'), folder.file('b'))).toThrow(
      expect.objectContaining({ code: 'EEXIST' }) as Error,
    );
    expect(renameNoReplace(folder.file('a'), folder.file('c'))).toBe(true);
    expect(existsSync(folder.file('a'))).toBe(false);
  });
});
