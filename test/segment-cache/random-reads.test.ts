import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import { newCounters } from '../../src/io/counters.js';
import type { DiskSource } from '../../src/io/disk-source.js';
import { openSegmentCache } from '../../src/segment-cache/segment-cache.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { openXzSegments } from '../../src/xz/xz-segments.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { text, xz } from '../helpers/xz.js';

const KIB = 1024;

/** Data and zeros in turn, of lengths that fall on no bounds. */
const CONTENT = Buffer.concat([
  text(300 * KIB + 5),
  Buffer.alloc(900 * KIB),
  text(200 * KIB, 2),
  Buffer.alloc(700_001),
  text(100_000, 3),
]);

/** The same content as blocks of several sizes, as several streams, and as one block. */
const FILES = {
  'small blocks': xz(CONTENT, '-0', '--block-size=50000'),
  'whole pages': xz(CONTENT, '-0', '--block-size=262144'),
  'one block': xz(CONTENT, '-0'),
  'several streams': Buffer.concat([
    xz(CONTENT.subarray(0, 400_000), '-0', '--block-size=131072'),
    xz(Buffer.alloc(0)),
    xz(CONTENT.subarray(400_000), '-0', '--check=sha256', '--block-size=131072'),
  ]),
};

/** A source whose reads fail while `failing` says so, after a turn of the event loop. */
function unsteady(data: Uint8Array, failing: () => boolean): ByteSource {
  const inner = bytesSource('unsteady.xz', data);
  return {
    ...inner,
    async read(offset, length, signal) {
      await new Promise((resolve) => setImmediate(resolve));
      if (failing()) throw new Error('the source failed');
      return inner.read(offset, length, signal);
    },
  };
}

const range = fc.record({ at: fc.nat(CONTENT.length), length: fc.nat(400_000) });
const action = fc.oneof(
  { weight: 6, arbitrary: range.map((value) => ({ kind: 'read' as const, ...value })) },
  { weight: 2, arbitrary: range.map((value) => ({ kind: 'abort' as const, ...value })) },
  { weight: 2, arbitrary: range.map((value) => ({ kind: 'extents' as const, ...value })) },
  { weight: 1, arbitrary: range.map((value) => ({ kind: 'prefetch' as const, ...value })) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('break' as const), reads: fc.integer({ min: 1, max: 3 }) }),
  },
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

async function perform(disk: DiskSource, wanted: Action, breakReads: (count: number) => void): Promise<void> {
  if (wanted.kind === 'break') {
    breakReads(wanted.reads);
    return;
  }
  const length = Math.min(wanted.length, CONTENT.length - wanted.at);
  const expected = CONTENT.subarray(wanted.at, wanted.at + length);
  try {
    if (wanted.kind === 'extents') {
      checkExtents(await disk.extents(wanted.at, length), wanted.at, length);
    } else if (wanted.kind === 'prefetch') {
      await disk.prefetch?.(wanted.at, length);
    } else {
      const abort = new AbortController();
      const read = disk.read(wanted.at, length, abort.signal);
      if (wanted.kind === 'abort') setImmediate(() => abort.abort(new Error('aborted by the test')));
      expect(Buffer.compare(await read, expected)).toBe(0);
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    expect(['the source failed', 'aborted by the test']).toContain(error.message);
  }
}

function checkExtents(
  extents: Awaited<ReturnType<DiskSource['extents']>>,
  offset: number,
  length: number,
): void {
  let at = offset;
  for (const extent of extents) {
    expect(extent.offset).toBe(at);
    at += extent.length;
    if (extent.kind === 'data') continue;
    expect(CONTENT.subarray(extent.offset, at).equals(Buffer.alloc(extent.length))).toBe(true);
  }
  expect(at).toBe(offset + length);
}

describe('openSegmentCache over xz', () => {
  it.each(Object.entries(FILES))('reads the same as the plain content: %s', async (_, file) => {
    await using folder = await scratchFolder();
    const index = await readXzIndex(bytesSource('test.xz', file));
    const setting = fc.record({
      cacheBytes: fc.constantFrom(0, 64 * KIB, 300 * KIB, 64 * KIB * KIB),
      spilling: fc.boolean(),
      jobs: fc.integer({ min: 1, max: 3 }),
    });
    const run = async (
      { cacheBytes, spilling, jobs }: { cacheBytes: number; spilling: boolean; jobs: number },
      rounds: Action[][],
    ): Promise<void> => {
      let failures = 0;
      const source = unsteady(file, () => failures > 0 && failures-- > 0);
      const spill = spilling ? folder.path : undefined;
      const counters = newCounters();
      await using disk = await openSegmentCache(openXzSegments(source, index), {
        cacheBytes,
        spill,
        jobs,
        counters,
      });
      for (const round of rounds)
        await Promise.all(round.map((wanted) => perform(disk, wanted, (count) => (failures += count))));
      failures = 0;
      expect(Buffer.compare(await disk.read(0, CONTENT.length), CONTENT)).toBe(0);
    };
    const rounds = fc.array(fc.array(action, { maxLength: 5 }), { maxLength: 4 });
    await fc.assert(fc.asyncProperty(setting, rounds, run), { numRuns: 30 });
  });
});
