import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFreeRanges } from '../../src/guest/ext/free-space.js';
import { openExtVolume } from '../../src/guest/ext/volume.js';
import { openFileSource } from '../../src/io/file-source.js';
import { MIB, makeSparse, patch, peek, run } from '../helpers/disk.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const FEATURES = [
  ['-t', 'ext2'],
  ['-t', 'ext3'],
  ['-t', 'ext4'],
  ['-t', 'ext4', '-O', '^64bit'],
  ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg'],
  ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg,^64bit'],
  ['-t', 'ext4', '-O', 'meta_bg,^resize_inode'],
  ['-t', 'ext4', '-O', 'sparse_super2'],
  ['-t', 'ext4', '-O', 'sparse_super2,meta_bg,^resize_inode'],
  ['-t', 'ext4', '-O', '^flex_bg'],
  ['-t', 'ext4', '-O', 'metadata_csum_seed,mmp'],
  ['-t', 'ext4', '-O', 'bigalloc', '-C', '16384'],
  ['-t', 'ext4', '-G', '4'],
  ['-t', 'ext4', '-E', 'packed_meta_blocks=1'],
];

interface Case {
  readonly features: readonly string[];
  readonly blockSize: number;
  readonly size: number;
  readonly files: readonly number[];
}

const cases: fc.Arbitrary<Case> = fc.record({
  features: fc.constantFrom(...FEATURES),
  blockSize: fc.constantFrom(1024, 4096),
  size: fc.integer({ min: 20, max: 80 }).map((count) => count * MIB + 4096 * count),
  files: fc.array(fc.integer({ min: 0, max: 300_000 }), { maxLength: 12 }),
});

function makeExt(folder: string, { features, blockSize, size, files }: Case): string {
  const tree = join(folder, 'tree');
  mkdirSync(tree, { recursive: true });
  for (const [index, length] of files.entries())
    writeFileSync(join(tree, `f${index}`), Buffer.alloc(length, 1));
  const path = makeSparse(join(folder, 'ext.img'), size);
  run('mke2fs', ['-q', '-F', '-b', String(blockSize), '-d', tree, ...features, path]);
  // Some of them again, so that freed blocks lie among others.
  const script = files.flatMap((_, index) => (index % 3 === 0 ? [`rm f${index}`] : [])).join('\n');
  run('debugfs', ['-w', '-f', '-', path], script);
  return path;
}

/** The free blocks that dumpe2fs lists; with bigalloc it names the first block of each cluster. */
function freeBlocks(path: string, cluster: number): Set<number> {
  const found = new Set<number>();
  for (const [, list = ''] of run('dumpe2fs', [path]).matchAll(/^ {2}Free blocks: (.*)$/gm)) {
    for (const span of list.split(', ').filter(Boolean)) {
      const [first = 0, last = first] = span.split('-').map(Number);
      for (let block = first; block < last + cluster; block += 1) found.add(block);
    }
  }
  return found;
}

async function read(path: string): Promise<{ offset: number; length: number }[]> {
  await using source = await openFileSource(path);
  return await readFreeRanges(await openExtVolume(source));
}

const plain: Case = { features: ['-t', 'ext4'], blockSize: 4096, size: 32 * MIB, files: [100_000, 9000] };

describe('readFreeRanges', () => {
  it('finds the blocks that dumpe2fs calls free', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (example) => {
        await using folder = await scratchFolder();
        const path = makeExt(folder.path, example);
        const cluster = example.features.includes('bigalloc') ? 16384 / example.blockSize : 1;
        const found = (await read(path)).flatMap(({ offset, length }) =>
          Array.from(
            { length: length / example.blockSize },
            (_, index) => offset / example.blockSize + index,
          ),
        );
        const blocks = example.size / example.blockSize;
        const expected = [...freeBlocks(path, cluster)].filter((block) => block < blocks);
        expect(found).toEqual(expected.sort((a, b) => a - b));
      }),
      { numRuns: 14, seed: 5 },
    );
  }, 60_000);

  it.each([
    ['a bitmap', 'block bitmap', async (path: string) => bitmapOf(path)],
    ['a descriptor', 'descriptor of group 0', () => Promise.resolve(4096 + 12)],
    ['the superblock', 'checksum of the superblock', () => Promise.resolve(1024 + 12)],
  ])('refuses damage of %s', async (_, message, place) => {
    await using folder = await scratchFolder();
    const path = makeExt(folder.path, plain);
    const at = await place(path);
    patch(path, at, Buffer.from([(peek(path, at, 1)[0] ?? 0) ^ 4]));
    await expect(read(path)).rejects.toThrow(message);
  });

  it('refuses a filesystem that is not at rest', async () => {
    await using folder = await scratchFolder();
    const path = makeExt(folder.path, plain);
    run('debugfs', ['-w', '-R', 'ssv state 0', path]);
    await expect(read(path)).rejects.toThrow('not unmounted cleanly');
    run('debugfs', ['-w', '-R', 'ssv state 3', path]);
    await expect(read(path)).rejects.toThrow('errors were found');
    run('debugfs', ['-w', '-R', 'feature needs_recovery', path]);
    await expect(read(path)).rejects.toThrow('its journal needs recovery');
  });
});

function bitmapOf(path: string): Promise<number> {
  const [, block = ''] = /Block bitmap at (\d+)/.exec(run('dumpe2fs', [path])) ?? [];
  return Promise.resolve(Number(block) * 4096 + 2000);
}
