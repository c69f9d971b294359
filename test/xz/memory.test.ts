import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startChild } from '../helpers/child-process.js';
import { describeEachEngine, text } from '../helpers/xz.js';

const MiB = 1024 * 1024;
const SIZE = 384 * MiB;
const DICTIONARY = 8 * MiB;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xz-memory-'));
  const raw = join(folder, 'disk');
  const fd = openSync(raw, 'w');
  for (let at = 0; at < SIZE; at += 64 * MiB) writeSync(fd, text(2 * MiB, at + 1), 0, 2 * MiB, at);
  // What does not compress keeps the reader busy.
  for (let at = 8 * MiB; at < SIZE; at += 32 * MiB) writeSync(fd, randomBytes(2 * MiB), 0, 2 * MiB, at);
  closeSync(fd);
  truncateSync(raw, SIZE);
  const compress = ['-k', '-T1', `--lzma2=preset=0,dict=${DICTIONARY}`];
  execFileSync('xz', [...compress, '-S', '.one.xz', raw]);
  execFileSync('xz', [...compress, '-S', '.many.xz', '--block-size=16MiB', raw]);
});
afterAll(() => rmSync(folder, { recursive: true }));

describeEachEngine('memory', () => {
  it.each([
    ['one', 1, 1],
    ['many', SIZE / (16 * MiB), 1],
    ['many', SIZE / (16 * MiB), 2],
  ])('is bounded for a file of %s blocks (%i) and %i jobs', async (name, blockCount, jobs) => {
    const { ended } = startChild('xz-memory-child', [join(folder, `disk.${name}.xz`), String(jobs)]);
    const { stdout, stderr, status } = await ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { blocks, bytes, peak } = JSON.parse(stdout) as Record<string, number>;
    expect([blocks, bytes]).toEqual([blockCount, SIZE]);
    expect(peak).toBeLessThan(jobs * (DICTIONARY + 8 * MiB) + 120 * MiB);
  });
});
