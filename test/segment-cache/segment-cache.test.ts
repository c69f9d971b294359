import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { newCounters } from '../../src/io/counters.js';
import type { DiskSource } from '../../src/io/disk-source.js';
import { needsSpill } from '../../src/segment-cache/needs-spill.js';
import { type SegmentCacheOptions, openSegmentCache } from '../../src/segment-cache/segment-cache.js';
import { type FakeSegmentsOptions, fakeSegments } from '../helpers/fake-segments.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { text } from '../helpers/xz.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DATA = text(4 * MIB + 1000);

const opened: DiskSource[] = [];
afterEach(async () => {
  for (const disk of opened.splice(0)) await disk[Symbol.asyncDispose]();
});

async function open(
  content: Partial<FakeSegmentsOptions> = {},
  options: Partial<SegmentCacheOptions> = {},
): Promise<{
  disk: DiskSource;
  fake: ReturnType<typeof fakeSegments>;
  counters: ReturnType<typeof newCounters>;
  lines: string[];
}> {
  const fake = fakeSegments({ data: DATA, segmentSize: MIB, sliceSize: 128 * KIB, ...content });
  const counters = newCounters();
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const disk = await openSegmentCache(fake, {
    cacheBytes: 64 * MIB,
    jobs: 2,
    readAhead: 0,
    counters,
    log,
    ...options,
  });
  opened.push(disk);
  return { disk, fake, counters, lines };
}

/** A gate that holds up those who pass until it is opened. */
function gate(): { readonly pass: Promise<void>; open(): void } {
  let release = (): void => undefined;
  const pass = new Promise<void>((resolve) => (release = resolve));
  return { pass, open: () => release() };
}

async function expectRead(disk: DiskSource, offset: number, length: number): Promise<void> {
  const got = await disk.read(offset, length);
  expect(Buffer.compare(got, DATA.subarray(offset, offset + length))).toBe(0);
}

/** Lets everything that does not wait for something else happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('openSegmentCache', () => {
  it('answers as soon as the needed prefix is decoded', async () => {
    const held = gate();
    const { disk, counters } = await open({
      before: (_, from) => (from >= 512 * KIB ? held.pass : undefined),
    });
    await expectRead(disk, 400 * KIB, 4096);
    expect(counters).toMatchObject({ cacheMisses: 1, segmentsDecoded: 1, bytesDecoded: 512 * KIB });
    held.open();
  });

  it('completes the segment in the background, so that the next read in it is a hit', async () => {
    const { disk, counters } = await open();
    await expectRead(disk, 100, 100);
    await settle();
    await expectRead(disk, MIB - 100, 100);
    expect(counters).toMatchObject({ cacheMisses: 1, cacheHits: 1, segmentsDecoded: 1, bytesDecoded: MIB });
  });

  it('decodes a segment once for many readers', async () => {
    const { disk, fake } = await open();
    await Promise.all(Array.from({ length: 40 }, (_, at) => expectRead(disk, at * 50_000, 60_000)));
    expect(fake.begun.toSorted()).toEqual([0, 1]);
  });

  it('serves readers whose ranges are too many for the cache', async () => {
    const { disk, fake } = await open({}, { cacheBytes: 128 * KIB });
    await Promise.all(Array.from({ length: 8 }, (_, at) => expectRead(disk, at * 512 * KIB, 512 * KIB)));
    expect(fake.begun.toSorted()).toEqual([0, 1, 2, 3]);
    await expectRead(disk, 0, DATA.length);
  });

  it('keeps the segment that was used last', async () => {
    const { disk, fake } = await open({}, { cacheBytes: 2 * MIB });
    for (const number of [0, 1, 0, 2, 0, 1]) {
      await expectRead(disk, number * MIB, MIB);
      await settle();
    }
    expect(fake.begun).toEqual([0, 1, 2, 1]);
  });

  it('lets no more decoders work than there are jobs, and serves all', async () => {
    const { disk, fake } = await open({ segmentSize: 128 * KIB, sliceSize: 32 * KIB }, { jobs: 3 });
    await Promise.all(Array.from({ length: 30 }, (_, at) => expectRead(disk, at * 128 * KIB, 64 * KIB)));
    expect(fake.mostAtWork()).toBe(3);
  });

  it('stops background work when someone waits', async () => {
    const order: number[] = [];
    const held = gate();
    const { disk } = await open(
      {
        before: async (segment, from) => {
          order.push(segment);
          if (segment === 0 && from === 256 * KIB) await held.pass;
        },
      },
      { jobs: 1 },
    );
    await expectRead(disk, 0, 1000);
    await settle();
    const read = expectRead(disk, MIB, 1000);
    held.open();
    await read;
    // Three slices of the first segment, the third in the background, then the read of the second.
    expect(order.slice(0, 4)).toEqual([0, 0, 0, 1]);
  });

  it('fails a read, remembers nothing of it, and serves the others', async () => {
    let broken = true;
    const { disk, lines } = await open({
      before: (segment, from) => {
        if (broken && segment === 1 && from > 0) throw new Error('segment 1 is broken');
      },
    });
    await expect(disk.read(MIB - 100, MIB)).rejects.toThrow('segment 1 is broken');
    await expectRead(disk, 0, MIB);
    // The reader knows it: it is not told twice.
    expect(lines).toEqual([]);
    broken = false;
    await expectRead(disk, MIB - 100, MIB);
  });

  it('drops what it kept of a segment whose check fails, tells it, and tries again', async () => {
    let broken = true;
    const { disk, fake, lines } = await open({
      check: () => {
        if (broken) throw new Error('segment 0 has a wrong check');
      },
    });
    await expectRead(disk, 0, 4096);
    await settle();
    expect(lines).toEqual(['segment 0 has a wrong check']);
    await expect(disk.read(MIB - 10, 10)).rejects.toThrow('wrong check');
    broken = false;
    await expectRead(disk, 0, MIB);
    expect(fake.begun).toEqual([0, 0, 0]);
  });

  it('aborts one reader without failing another that waits for the same', async () => {
    const held = gate();
    const { disk, fake } = await open({ before: () => held.pass });
    const abort = new AbortController();
    const reads = [disk.read(0, 100, abort.signal), disk.read(0, 200_000), disk.read(0, 100, abort.signal)];
    const outcome = Promise.allSettled(reads);
    await settle();
    abort.abort(new Error('gone'));
    held.open();
    const statuses = (await outcome).map(({ status }) => status);
    expect(statuses).toEqual(['rejected', 'fulfilled', 'rejected']);
    expect(fake.begun).toEqual([0]);
    await expect(disk.read(0, 10, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });

  it('reads ahead of a sequential reader only', async () => {
    const { disk, fake } = await open({}, { readAhead: 1 });
    for (let at = 0; at < 768 * KIB; at += 64 * KIB) await expectRead(disk, at, 64 * KIB);
    await settle();
    expect(fake.begun).toEqual([0, 1]);
    await expectRead(disk, 3 * MIB, 64 * KIB);
    await settle();
    expect(fake.begun).toEqual([0, 1, 3]);
  });

  it('tells what is zero without decoding, and what decoding has taught', async () => {
    const data = Buffer.concat([Buffer.alloc(MIB), text(MIB), Buffer.alloc(256 * KIB), text(768 * KIB)]);
    const { disk, fake } = await open({ data, isZero: (number) => Promise.resolve(number === 0) });
    const before = await disk.extents(1000, 3 * MIB - 1000);
    expect(before).toEqual([
      { offset: 1000, length: MIB - 1000, kind: 'hole' },
      { offset: MIB, length: 2 * MIB, kind: 'data' },
    ]);
    expect(fake.begun).toEqual([]);
    expect(Buffer.compare(await disk.read(0, data.length), data)).toBe(0);
    expect(await disk.extents(0, data.length)).toEqual([
      { offset: 0, length: MIB, kind: 'hole' },
      { offset: MIB, length: MIB, kind: 'data' },
      { offset: 2 * MIB, length: 256 * KIB, kind: 'zero' },
      { offset: 2 * MIB + 256 * KIB, length: 768 * KIB, kind: 'data' },
    ]);
    expect(fake.begun.toSorted()).toEqual([1, 2]);
    expect(await disk.extents(0, 0)).toEqual([]);
  });

  it('remembers zeros without memory', async () => {
    const data = Buffer.alloc(4 * MIB);
    const { disk, fake, counters } = await open({ data }, { cacheBytes: 0 });
    expect(Buffer.compare(await disk.read(0, data.length), data)).toBe(0);
    expect(Buffer.compare(await disk.read(0, data.length), data)).toBe(0);
    expect(fake.begun).toHaveLength(4);
    expect(counters).toMatchObject({ cacheHits: 1, cacheMisses: 1 });
  });

  it('fetches a range in advance', async () => {
    const { disk, counters } = await open();
    await disk.prefetch?.(MIB - 1000, 2000);
    await settle();
    await expectRead(disk, MIB - 1000, 2000);
    await disk.prefetch?.(MIB - 1000, 2000);
    expect(counters).toMatchObject({ cacheHits: 1, cacheMisses: 0, segmentsDecoded: 2 });
  });

  it('decodes nothing twice with a spill file, which has no name', async () => {
    await using folder = await scratchFolder();
    const { disk, fake } = await open({}, { cacheBytes: 128 * KIB, spill: folder.path });
    expect(await readdir(folder.path)).toEqual([]);
    for (const at of [3 * MIB, 0, MIB, 2 * MIB, 4 * MIB, 0, 3 * MIB + 77, 100])
      await expectRead(disk, at, Math.min(MIB, DATA.length - at));
    await expectRead(disk, 0, DATA.length);
    expect(fake.begun.toSorted()).toEqual([0, 1, 2, 3, 4]);
  });

  it('refuses a spill file that exists or cannot be made, and disposes the content', async () => {
    await using folder = await scratchFolder();
    const file = join(folder.path, 'taken');
    await writeFile(file, 'keep me');
    for (const [spill, code] of [
      [file, 'TSB_OUTPUT_EXISTS'],
      [join(folder.path, 'no', 'such'), 'TSB_OUTPUT_UNUSABLE'],
    ] as const) {
      const fake = fakeSegments({ data: DATA, segmentSize: MIB, sliceSize: MIB });
      const options = { cacheBytes: MIB, jobs: 1, counters: newCounters(), spill };
      await expect(openSegmentCache(fake, options)).rejects.toMatchObject({ code });
      expect(fake.disposed()).toBe(true);
    }
    expect(await readFile(file, 'utf8')).toBe('keep me');
  });

  it('ends everything when disposed, and fails who still waits', async () => {
    const { disk, fake } = await open({ before: () => new Promise((resolve) => setTimeout(resolve, 5)) });
    const waiting = disk.read(0, 2 * MIB);
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'TSB_INTERRUPTED' });
    await disk[Symbol.asyncDispose]();
    await outcome;
    expect([fake.open(), fake.disposed()]).toEqual([0, true]);
    await expect(disk.read(0, 1)).rejects.toMatchObject({ code: 'TSB_INTERRUPTED' });
  });

  it('ends when its signal is aborted', async () => {
    const abort = new AbortController();
    const { disk } = await open(
      { before: () => new Promise((resolve) => setTimeout(resolve, 5)) },
      { signal: abort.signal },
    );
    const outcome = expect(disk.read(0, 2 * MIB)).rejects.toThrow('stop');
    abort.abort(new Error('stop'));
    await outcome;
  });

  it('knows when a spill file is worth its space', () => {
    const of = (segmentSize: number): ReturnType<typeof fakeSegments> =>
      fakeSegments({ data: DATA, segmentSize, sliceSize: MIB });
    expect(needsSpill(of(MIB), 2 * MIB)).toBe(false);
    expect(needsSpill(of(MIB), 2 * MIB - 2)).toBe(true);
  });
});
