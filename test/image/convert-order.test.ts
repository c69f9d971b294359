import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConvertOptions, convertToQcow2 } from '../../src/image/convert-image.js';
import { type TempFolder, emptyFile, run, tempFolder } from '../helpers/disk-tools.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 40 * MIB + 3 * 512;

let folder: TempFolder;
let raw: string;
beforeEach(() => {
  folder = tempFolder();
  raw = folder.file('disk.raw');
  writeFileSync(raw, '');
  truncateSync(raw, SIZE);
  const fd = openSync(raw, 'r+');
  // Chunks that take long to pack lie before chunks that take no time, and edges within clusters.
  for (let at = 0; at < 24 * MIB; at += 4 * MIB) {
    writeSync(fd, randomBytes(MIB).toString('hex'), at, 'latin1');
    writeSync(fd, Buffer.alloc(100 * KIB, 'text '), 0, 100 * KIB, at + 2 * MIB + 12 * KIB);
  }
  writeSync(fd, randomBytes(3 * MIB), 0, 3 * MIB, 30 * MIB + 5_000);
  writeSync(fd, Buffer.alloc(700, 1), 0, 700, SIZE - 700);
  closeSync(fd);
});
afterEach(() => folder[Symbol.dispose]());

async function convert(from: string, name: string, options: ConvertOptions): Promise<string> {
  const path = emptyFile(folder.file(name));
  await convertToQcow2(from, path, options);
  return path;
}

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('convertToQcow2', () => {
  it.each<ConvertOptions>([
    {},
    { clusterSize: 512 },
    { clusterSize: 2 * MIB },
    { compress: 'zlib' },
    { compress: 'zstd' },
    { compress: 'zstd', clusterSize: 4096 },
    { compress: 'zlib', clusterSize: 2 * MIB },
  ])('writes the same bytes with any number of jobs and any holes: %o', async (options) => {
    const dense = folder.file('dense.raw');
    writeFileSync(dense, readFileSync(raw));
    const one = await convert(raw, 'one.qcow2', { ...options, jobs: 1 });
    const four = await convert(raw, 'four.qcow2', { ...options, jobs: 4 });
    const filled = await convert(dense, 'filled.qcow2', { ...options, jobs: 3 });
    expect(run('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', raw, four)).toContain('identical');
    expect(run('qemu-img', 'check', '-f', 'qcow2', four)).toContain('No errors');
    expect(digest(four)).toBe(digest(one));
    expect(digest(filled)).toBe(digest(one));
  });

  it('fails and does not wait for ever when it is aborted', async () => {
    const controller = new AbortController();
    const onProgress = (): void => controller.abort(new Error('enough'));
    const aborted = convert(raw, 'aborted.qcow2', {
      jobs: 4,
      compress: 'zlib',
      onProgress,
      signal: controller.signal,
    });
    await expect(aborted).rejects.toThrow('enough');
  });
});
