import { execFileSync } from 'node:child_process';
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
  closeSync(fd);
  truncateSync(raw, SIZE);
  execFileSync('xz', ['-T1', `--lzma2=preset=0,dict=${DICTIONARY}`, raw]);
});
afterAll(() => rmSync(folder, { recursive: true }));

describeEachEngine('memory', () => {
  it('does not depend on the size of the block', async () => {
    const { ended } = startChild('xz-memory-child', [join(folder, 'disk.xz'), '2']);
    const { stdout, stderr, status } = await ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { blocks, bytes, peak } = JSON.parse(stdout) as Record<string, number>;
    expect([blocks, bytes]).toEqual([1, SIZE]);
    expect(peak).toBeLessThan(DICTIONARY + 8 * MiB + 120 * MiB);
  });
});
