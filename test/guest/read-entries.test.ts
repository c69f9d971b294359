import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openExtFiles } from '../../src/guest/ext/open-ext-guest.js';
import type { GuestFiles } from '../../src/guest/guest.js';
import { sliceSource } from '../../src/io/byte-source.js';
import { openFileSource } from '../../src/io/file-source.js';
import { MIB, OFFSET, makeExtImage, makeTree, run, scratchPath } from '../helpers/guest-image.js';

async function withFiles<T>(path: string, look: (files: GuestFiles) => Promise<T>): Promise<T> {
  await using disk = await openFileSource(path);
  return await look(await openExtFiles(sliceSource(disk, OFFSET, 16 * MIB)));
}

describe('entries', () => {
  it('has every name, sorted by bytes, also those that are no text', async () => {
    const tree = makeTree({ 'd/b': 'x', 'd/é': 'y', 'd/a': { link: 'b' }, 'd/sub': { dir: 0o700 } });
    writeFileSync(Buffer.concat([Buffer.from(join(tree, 'd/')), Buffer.from([0x62, 0xff])]), 'z');
    await withFiles(makeExtImage(tree), async (files) => {
      const names = await files.entries('/d');
      expect(names).toEqual([
        { name: 'a', rawName: 'a' },
        { name: 'b', rawName: 'b' },
        { name: undefined, rawName: 'b\xff' },
        { name: 'sub', rawName: 'sub' },
        { name: 'é', rawName: 'Ã©' },
      ]);
      const detailed = await files.entries('/d', { details: true });
      expect(
        detailed.map(({ rawName, stat, rawTarget }) => [rawName, stat?.type, stat?.size, rawTarget]),
      ).toEqual([
        ['a', 'symlink', 1, 'b'],
        ['b', 'file', 1, undefined],
        ['b\xff', 'file', 1, undefined],
        ['sub', 'directory', 1024, undefined],
        ['Ã©', 'file', 1, undefined],
      ]);
      const numbers = detailed.map(({ stat }) => stat?.id);
      expect(new Set(numbers).size).toBe(5);
      await expect(files.entries('/d/b')).rejects.toMatchObject({ details: { reason: 'not-folder' } });
    });
  });
});

describe('readRange', () => {
  it('reads any part of a file, holes and fragments included, as debugfs does', async () => {
    const large = Buffer.from(Array.from({ length: 300_001 }, (_, index) => (index * 7) % 251)).fill(
      0,
      50_000,
      150_000,
    );
    const path = makeExtImage({ 'f/large': large, 'f/tiny': 'tiny' });
    const dump = scratchPath('dump');
    run('debugfs', ['-R', `dump /f/large ${dump}`, `${path}?offset=${OFFSET}`]);
    expect(readFileSync(dump).equals(large)).toBe(true);
    await withFiles(path, async (files) => {
      for (const [offset, length] of [
        [0, 10],
        [49_990, 20],
        [149_999, 5000],
        [300_000, 100],
        [300_001, 5],
        [400_000, 5],
        [0, 400_000],
      ] as const) {
        const part = await files.readRange('/f/large', offset, length);
        expect(part.equals(large.subarray(offset, offset + length)), `${offset}+${length}`).toBe(true);
      }
      expect((await files.readRange('/f/tiny', 1, 2)).toString()).toBe('in');
      await expect(files.readRange('/', 0, 1)).rejects.toMatchObject({ details: { reason: 'not-file' } });
    });
  });
});
