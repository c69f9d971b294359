import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { startChild } from '../helpers/child-process.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const MiB = 1024 * 1024;
const SIZE = 1024 * MiB;

it('takes bounded memory for a GiB of zeros', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'zeros.gz');
  const quarter = gzipSync(Buffer.alloc(SIZE / 4), { level: 1 });
  await writeFile(path, Buffer.concat([quarter, quarter, quarter, quarter]));
  const { stdout, stderr, status } = await startChild('segments-memory-child', [path]).ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { bytes, size, segments, peak } = JSON.parse(stdout) as Record<string, number>;
  expect([bytes, size]).toEqual([SIZE, SIZE]);
  expect(segments).toBeGreaterThan(50);
  expect(peak).toBeLessThan(200 * MiB);
});
