import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startChild } from '../helpers/child-process.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const MiB = 1024 * 1024;
const SIZE = 1024 * MiB;

it.each([
  ['that tells its size', `--stream-size=${SIZE}`],
  ['that has to be decoded to find its size', '-T2'],
])('takes bounded memory for one frame of a GiB of zeros %s', async (_, option) => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'zeros.zst');
  execFileSync('sh', ['-c', `head -c ${SIZE} /dev/zero | zstd -q -1 ${option} > '${path}'`]);
  const { stdout, stderr, status } = await startChild('segments-memory-child', [path]).ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { bytes, size, segments, peak } = JSON.parse(stdout) as Record<string, number>;
  expect([bytes, size, segments]).toEqual([SIZE, SIZE, 1]);
  expect(peak).toBeLessThan(200 * MiB);
});
