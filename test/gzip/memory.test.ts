import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startChild } from '../helpers/child-process.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const MiB = 1024 * 1024;
const SIZE = 1024 * MiB;

it('takes bounded memory for a GiB of zeros', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'zeros.gz');
  execFileSync('sh', ['-c', `head -c ${SIZE} /dev/zero | gzip -1 > '${path}'`]);
  const { stdout, stderr, status } = await startChild('segments-memory-child', [path]).ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { bytes, size, segments, peak } = JSON.parse(stdout) as Record<string, number>;
  expect([bytes, size]).toEqual([SIZE, SIZE]);
  expect(segments).toBeGreaterThan(50);
  expect(peak).toBeLessThan(200 * MiB);
});
