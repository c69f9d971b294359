import { writeFile } from 'node:fs/promises';
import { dataRanges } from '../../image/extents.js';
import { openFileSource } from '../../io/file-source.js';
import type { Progress } from '../../progress.js';
import { diskContent, totalLength } from '../disk-fill.js';
import { packXz } from '../pack-xz.js';

/** Independent blocks: what lets a template be decoded in parallel and read at any place. */
const BLOCK_SIZE = 16 * 1024 ** 2;

/**
 * Packs the raw disk `from` into a new file `to`, `jobs` blocks at once. The result does not depend on the number. Progress counts
 * the bytes that are not in holes.
 *
 * @throws as `packXz`
 */
export async function compressDisk(
  files: { from: string; to: string },
  options: { jobs: number; progress: Progress; signal?: AbortSignal | undefined },
): Promise<void> {
  await using disk = await openFileSource(files.from);
  const ranges = [...dataRanges(disk.fd, disk.size)];
  using step = options.progress.step('Compressing the disk', totalLength(ranges));
  await writeFile(files.to, '', { flag: 'wx' });
  const packing = { blockSize: BLOCK_SIZE, preset: '6', check: 'crc64' } as const;
  await packXz(files.to, diskContent({ disk, ranges }, step), { ...options, ...packing, name: files.to });
}
