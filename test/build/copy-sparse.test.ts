import { randomBytes } from 'node:crypto';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copySparse } from '../../src/build/copy-sparse.js';
import { pickFaster } from '../../src/build/pick-faster.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const MIB = 1024 * 1024;

async function makeFile(path: string, size: number, data: readonly { at: number; length: number }[]) {
  await writeFile(path, '');
  await using file = await open(path, 'r+');
  await file.truncate(size);
  for (const { at, length } of data) {
    const present = Math.min(length, size - at);
    if (present > 0) await file.write(randomBytes(present), 0, present, at);
  }
}

test('a copy has the bytes and the holes of the file, however they lie', async () => {
  await using scratch = await scratchFolder();
  const extent = fc.record({
    at: fc.integer({ min: 0, max: 24 * MIB }),
    length: fc.integer({ min: 1, max: 5 * MIB }),
  });
  const layout = fc.tuple(fc.integer({ min: 0, max: 24 * MIB }), fc.array(extent, { maxLength: 4 }));
  let count = 0;
  await fc.assert(
    fc.asyncProperty(layout, async ([size, data]) => {
      count += 1;
      const [from, to] = [join(scratch.path, `from${count}`), join(scratch.path, `to${count}`)];
      await makeFile(from, size, data);
      await writeFile(to, '');
      let told = 0;
      expect(await copySparse(from, to, { jobs: 2, onProgress: (bytes) => (told += bytes) })).toBe(true);
      expect((await readFile(to)).equals(await readFile(from))).toBe(true);
      const [one, other] = [await stat(from), await stat(to)];
      expect(other.blocks).toBeLessThanOrEqual(one.blocks);
      expect(told).toBeLessThanOrEqual(one.blocks * 512);
    }),
    { numRuns: 15 },
  );
});

test('a file that is not empty is no place for a copy, and an abort ends one', async () => {
  await using scratch = await scratchFolder();
  const [from, to] = [join(scratch.path, 'from'), join(scratch.path, 'to')];
  await makeFile(from, 8 * MIB, [{ at: 0, length: 8 * MIB }]);
  await writeFile(to, 'mine');
  await expect(copySparse(from, to, { jobs: 1 })).rejects.toMatchObject({ code: 'TSB_OUTPUT_UNUSABLE' });
  expect(await readFile(to, 'utf8')).toBe('mine');
  await writeFile(to, '');
  await expect(copySparse(from, to, { jobs: 1, signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
});

test('of two ways the one that took less time is gone, until it takes more', () => {
  const way = pickFaster(true);
  const first = Array.from({ length: 8 }, () => {
    const next = way.next();
    way.took(next, next === 'direct' ? 1 : 5);
    return next;
  });
  expect(first.filter((each) => each === 'direct')).toHaveLength(4);
  expect(way.next()).toBe('direct');
  for (let count = 0; count < 10; count += 1) way.took('direct', 100);
  expect(way.next()).toBe('cached');
  way.took('cached', 1000);
  way.never('direct');
  expect(way.next()).toBe('cached');
});

test('without a second way the first is gone', () => {
  const way = pickFaster(false);
  expect(Array.from({ length: 10 }, () => way.next())).toEqual(Array.from({ length: 10 }, () => 'cached'));
});
