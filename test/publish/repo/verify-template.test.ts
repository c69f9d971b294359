import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { verifyTemplate } from '../../../src/publish/repo/verify-template.js';
import { run } from '../../helpers/disk.js';
import { entry } from '../../helpers/entries.js';
import { sha512 } from '../../helpers/e2e-template.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';
import { SMALL_DEBIAN, makeSystemDisk } from '../../helpers/system-disk.js';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let packed: string;
let good: ReturnType<typeof entry>;
beforeEach(async () => {
  folder = await scratchFolder();
  packed = join(folder.path, 'disk.xz');
  const disk = readFileSync(makeSystemDisk(SMALL_DEBIAN));
  writeFileSync(join(folder.path, 'disk'), disk);
  run('xz', ['-0', '-T1', '--block-size=1MiB', join(folder.path, 'disk')]);
  const data = readFileSync(packed);
  good = entry({
    url: packed,
    size: disk.length,
    compressedSize: data.length,
    sha512: sha512(data),
    expand: '/dev/sda1',
  });
});
afterEach(() => folder[Symbol.asyncDispose]());

async function codes(fields: Parameters<typeof entry>[0] = {}): Promise<string[]> {
  const found: string[] = [];
  const note = ({ code }: { code: string }): unknown => found.push(code);
  await verifyTemplate({ ...good, ...fields }, note, new AbortController().signal);
  return found;
}

it('finds nothing wrong with what is right', async () => {
  expect(await codes()).toEqual([]);
});

it('tells wrong sizes, a missing map and a partition that is not there', async () => {
  expect(await codes({ size: 1, compressedSize: 1 })).toEqual(['TSB_SIZE_MISMATCH', 'TSB_SIZE_MISMATCH']);
  expect(await codes({ expand: '/dev/sda7' })).toEqual(['TSB_PARTITION_NOT_FOUND']);
  const map = { blocks: join(folder.path, 'none'), blocksSha512: '0'.repeat(128) };
  expect(await codes(map)).toEqual(['TSB_NOT_FOUND']);
});

it('tells a flipped byte and a file that was cut off', async () => {
  const data = readFileSync(packed);
  data[40] = (data[40] ?? 0) ^ 1;
  writeFileSync(packed, data);
  expect(await codes()).toContain('TSB_CHECKSUM_MISMATCH');
  truncateSync(packed, 100);
  expect(await codes()).toEqual(expect.arrayContaining(['TSB_SIZE_MISMATCH', 'TSB_XZ_CORRUPT']));
});
