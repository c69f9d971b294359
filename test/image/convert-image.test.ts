import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  assertFormat,
  convertImage,
  convertToQcow2,
  convertToRaw,
  supportedFormats,
} from '../../src/image/convert-image.js';
import * as libc from '../../src/io/libc.js';
import { openOutputFile } from '../../src/io/output-file.js';
import {
  type TempFolder,
  emptyFile,
  extentStates,
  requireExt4,
  run,
  tempFolder,
} from '../helpers/disk-tools.js';

vi.mock('../../src/io/libc.js', { spy: true });

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 300 * MIB + 5 * 512;

let folder: TempFolder;
let raw: string;
beforeEach(() => {
  folder = tempFolder();
  raw = folder.file('disk.raw');
  writeFileSync(raw, '');
  truncateSync(raw, SIZE);
  const fd = openSync(raw, 'r+');
  writeSync(fd, randomBytes(MIB), 0, MIB, 0);
  writeSync(fd, Buffer.alloc(4 * MIB, 'text '), 0, 4 * MIB, 99 * MIB + 12_345);
  writeSync(fd, Buffer.alloc(3 * MIB), 0, 3 * MIB, 200 * MIB);
  writeSync(fd, Buffer.alloc(700, 1), 0, 700, SIZE - 700);
  closeSync(fd);
});
afterEach(() => {
  vi.mocked(libc.seekData).mockReset();
  vi.unstubAllEnvs();
  folder[Symbol.dispose]();
});

const same = (one: string, other: string, format: string): string =>
  run('qemu-img', 'compare', '-f', 'raw', '-F', format, one, other);

describe('convertImage', () => {
  it.each(supportedFormats)('writes %s with the same content', async (format) => {
    const path = folder.file(`new.${format}`);
    {
      await using output = await openOutputFile(path);
      await convertImage(raw, output.tempPath, { format });
      await output.commit();
    }
    expect(same(raw, path, format)).toContain('identical');
    expect(statSync(path).blocks * 512).toBeLessThan(12 * MIB);
    expect(readdirSync(folder.path).sort()).toEqual(['disk.raw', `new.${format}`]);
  });

  it.each(['qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc'])(
    'leaves the data of %s delayed',
    { retry: 2 },
    async (format) => {
      requireExt4(folder.path);
      const path = folder.file(`new.${format}`);
      await using output = await openOutputFile(path);
      await convertImage(raw, output.tempPath, { format });
      await output.commit();
      const { delayed, placed } = extentStates(path);
      // QEMU's formats begin with tables that are flushed when the file is made.
      expect(delayed).toBeGreaterThan((4 * MIB) / 4096);
      expect(placed).toBeLessThan(format === 'qcow2' ? 1 : MIB / 4096);
    },
  );

  it.each(['zlib', 'zstd'] as const)('compresses by %s', async (compress) => {
    const path = emptyFile(folder.file('disk.qcow2'));
    let done = 0;
    await convertToQcow2(raw, path, {
      compress,
      clusterSize: 32 * KIB,
      onProgress: (bytes) => (done += bytes),
    });
    expect(run('qemu-img', 'check', path)).toContain('No errors');
    expect(same(raw, path, 'qcow2')).toContain('identical');
    expect(statSync(path).size).toBeLessThan(2 * MIB);
    expect(done).toBeGreaterThanOrEqual(5 * MIB);
    expect(done).toBeLessThan(10 * MIB);
  });

  it('finds zeros by reading where the filesystem cannot tell', async () => {
    vi.mocked(libc.seekData).mockReturnValue(undefined);
    const path = emptyFile(folder.file('disk.qcow2'));
    await convertToQcow2(raw, path);
    expect(same(raw, path, 'qcow2')).toContain('identical');
    expect(statSync(path).size).toBeLessThan(6 * MIB);
  });

  it('refuses an unknown format, naming those it knows', async () => {
    await expect(convertImage(raw, folder.file('x'), { format: 'iso' })).rejects.toMatchObject({
      code: 'TSB_USAGE',
      hint: expect.stringContaining('raw, qcow2, vmdk') as string,
    });
  });

  it('knows before any work which disks are too large for a cluster size', async () => {
    await assertFormat('qcow2', { clusterSize: 512, size: 2 ** 36 });
    await expect(assertFormat('qcow2', { clusterSize: 512, size: 5 * 2 ** 40 })).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: 'a disk of 5497558138880 bytes is too large for a qcow2 cluster size of 512',
    });
  });

  it('names the package of a missing qemu-img', async () => {
    vi.stubEnv('PATH', folder.path);
    const path = emptyFile(folder.file('disk.vmdk'));
    await expect(convertImage(raw, path, { format: 'vmdk' })).rejects.toMatchObject({
      code: 'TSB_TOOL_MISSING',
      hint: expect.stringContaining('qemu-utils') as string,
    });
  });

  it('stops at an abort', async () => {
    for (const format of ['qcow2', 'raw', 'vdi']) {
      const path = emptyFile(folder.file(`aborted.${format}`));
      await expect(convertImage(raw, path, { format, signal: AbortSignal.abort() })).rejects.toMatchObject({
        name: 'AbortError',
      });
    }
  });
});

describe('convertToRaw', () => {
  it.each([[[]], [['-c']], [['-c', '-o', 'compression_type=zstd']]])(
    'reads what qemu-img wrote: %s',
    async (options) => {
      const qcow2 = folder.file('disk.qcow2');
      run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...options, raw, qcow2);
      const path = emptyFile(folder.file('again.raw'));
      await convertToRaw(qcow2, path);
      expect(run('cmp', raw, path)).toBe('');
      expect(statSync(path).blocks * 512).toBeLessThan(8 * MIB);
    },
  );

  it('never opens a backing file', async () => {
    const qcow2 = folder.file('disk.qcow2');
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', qcow2);
    await expect(convertToRaw(qcow2, emptyFile(folder.file('x')))).rejects.toMatchObject({
      code: 'TSB_IMAGE_INVALID',
      message: expect.stringContaining('backing file') as string,
    });
  });
});
