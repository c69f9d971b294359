import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { isZstd, openZstdSegments } from '../../src/zstd/zstd-segments.js';
import { decodeBackwards, decodeSegment, expectContent, mixedContent } from '../helpers/segments.js';
import { countingSource } from '../helpers/xz.js';
import {
  cutIntoFrames,
  pzstd,
  seekTable,
  seekableFile,
  words,
  zstd,
  zstdUnsized,
} from '../helpers/zstd-file.js';

const KiB = 1024;
const MiB = 1024 * KiB;

const open = (data: Uint8Array) => openZstdSegments(bytesSource('test.zst', data));
const content = mixedContent(3 * MiB, 7);
const skippable = Buffer.concat([words(0x184d2a53, 1000), Buffer.alloc(1000, 0xfd)]);

describe('openZstdSegments', () => {
  it.each([
    ['zstd -1', 1, () => zstd(content, '-1')],
    ['zstd -19', 1, () => zstd(content.subarray(0, MiB), '-19'), MiB],
    ['zstd -T0', 1, () => zstd(content, '-T0')],
    ['zstd --no-check', 1, () => zstd(content, '--no-check')],
    ['zstd --long=27', 1, () => zstd(content, '--long=27')],
    ['zstd from a pipe', 1, () => zstdUnsized(content)],
    ['zstd -T2 from a pipe', 1, () => zstdUnsized(content, '-T2')],
    ['pzstd', 2, () => pzstd(content)],
    [
      'concatenated files and skippable frames',
      2,
      () =>
        Buffer.concat([
          skippable,
          zstd(content.subarray(0, MiB)),
          zstd(Buffer.alloc(0)),
          skippable,
          zstdUnsized(content.subarray(MiB)),
          skippable,
        ]),
    ],
  ])('gives every byte of %s', async (_, frames, make, length = content.length) => {
    await using segments = await open(make());
    expect(segments.segmentCount).toBeGreaterThanOrEqual(frames);
    await expectContent(segments, content.subarray(0, length));
  });

  it('reads any content back, however it was cut into frames', async () => {
    const frame = fc.record({
      length: fc.integer({ min: 0, max: 300_000 }),
      seed: fc.integer(),
      sized: fc.boolean(),
      check: fc.constantFrom('--check', '--no-check'),
    });
    const property = fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 4 }), async (frames) => {
      const datas = frames.map(({ length, seed }) => mixedContent(length, seed));
      const parts = frames.map(({ sized, check }, n) => (sized ? zstd : zstdUnsized)(datas[n]!, '-1', check));
      await using segments = await open(Buffer.concat(parts));
      await expectContent(segments, Buffer.concat(datas));
    });
    await fc.assert(property, { numRuns: 15 });
  });

  it('reports all of the file as progress', async () => {
    const data = Buffer.concat([zstd(content), zstdUnsized(content)]);
    let used = 0;
    const onProgress = (bytes: number) => (used += bytes);
    await using segments = await openZstdSegments(bytesSource('test.zst', data), { onProgress });
    expect([segments.size, used]).toEqual([2 * content.length, data.length]);
  });

  it('finds zeros by reading next to nothing', async () => {
    const data = Buffer.concat([mixedContent(MiB), Buffer.alloc(20 * MiB), mixedContent(MiB)]);
    const source = countingSource(seekableFile(cutIntoFrames(data, MiB)));
    await using segments = await openZstdSegments(source);
    const before = source.bytesRead();
    const zero: unknown[] = [];
    for (let number = 0; number < segments.segmentCount; number += 1)
      zero.push(await segments.isZero?.(number));
    expect(zero).toEqual([false, ...Array<boolean>(20).fill(true), false]);
    expect(source.bytesRead() - before).toBeLessThan(20 * 200);
    await using unsized = await open(zstdUnsized(Buffer.alloc(MiB)));
    expect(await unsized.isZero?.(0)).toBe(true);
  });

  it('does not take damaged frames for zeros', async () => {
    const file = seekableFile(cutIntoFrames(Buffer.alloc(2 * MiB), MiB));
    file[20]! ^= 1;
    await using segments = await open(file);
    expect([await segments.isZero?.(0), await segments.isZero?.(1)]).toEqual([false, true]);
  });

  it('takes files without content', async () => {
    await using nothing = await open(
      Buffer.concat([zstd(Buffer.alloc(0)), skippable, zstdUnsized(Buffer.alloc(0))]),
    );
    expect([nothing.size, nothing.segmentCount]).toEqual([0, 0]);
  });

  it('knows zstd files by their first bytes', () => {
    const heads = [zstd(content.subarray(0, 9)), skippable, Buffer.from('BZh9'), Buffer.alloc(3)];
    expect(heads.map(isZstd)).toEqual([true, true, false, false]);
  });

  it('stops when aborted', async () => {
    const stop = new AbortController();
    const source = bytesSource(
      'test.zst',
      Buffer.concat(cutIntoFrames(content, MiB).map(({ frame }) => frame)),
    );
    const onProgress = () => stop.abort();
    await expect(openZstdSegments(source, { onProgress, signal: stop.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    await using segments = await openZstdSegments(source);
    const slices = segments.decode(0, { signal: stop.signal });
    await expect(slices.next()).rejects.toMatchObject({ name: 'AbortError' });
    expect((await decodeSegment(segments, 0)).equals(content.subarray(0, MiB))).toBe(true);
  });

  it('decodes frames at the same time', async () => {
    await using segments = await open(seekableFile(cutIntoFrames(content, 400_000)));
    const tasks = Array.from({ length: segments.segmentCount * 2 }, async (_, index) => {
      const { number, offset, size } = segments.segment(index % segments.segmentCount);
      return (await decodeSegment(segments, number)).equals(content.subarray(offset, offset + size));
    });
    expect(new Set(await Promise.all(tasks))).toEqual(new Set([true]));
  });

  it('can be left in the middle of a frame and decode another one next', async () => {
    await using segments = await open(Buffer.concat([zstd(content), zstd(content)]));
    for await (const slice of segments.decode(0, {})) {
      expect(content.subarray(0, slice.length).equals(slice)).toBe(true);
      break;
    }
    expect((await decodeSegment(segments, 1)).equals(content)).toBe(true);
  });
});

describe('the seek table', () => {
  it.each([
    ['without checksums', { frame: true, table: false }],
    ['with checksums in the table', { frame: false, table: true }],
    ['with checksums in both', { frame: true, table: true }],
    ['with no checksum anywhere', { frame: false, table: false }],
  ])('is used %s, and nothing else is read at open', async (_, check) => {
    const file = seekableFile(cutIntoFrames(content, 300_000, check));
    expect(execFileSync('zstd', ['-dcq'], { input: file, maxBuffer: 2 ** 30 }).equals(content)).toBe(true);
    const source = countingSource(file);
    await using segments = await openZstdSegments(source);
    expect(source.bytesRead()).toBeLessThan(300);
    expect(segments.segmentCount).toBe(Math.ceil(content.length / 300_000));
    await expectContent(segments, content);
  });

  it('has its checksums verified', async () => {
    for (const frame of [true, false]) {
      const entries = cutIntoFrames(content, MiB, { frame, table: true });
      entries[1] = { ...entries[1]!, checksum: (entries[1]!.checksum! ^ 1) >>> 0 };
      await using segments = await open(seekableFile(entries));
      expect((await decodeSegment(segments, 0)).equals(content.subarray(0, MiB))).toBe(true);
      let delivered = 0;
      const decoding = (async () => {
        for await (const slice of segments.decode(1, {})) delivered += slice.length;
      })();
      await expect(decoding).rejects.toMatchObject({
        code: 'TSB_ZSTD_CORRUPT',
        details: { offset: entries[0]!.frame.length },
      });
      expect(delivered).toBeLessThan(MiB);
    }
  });

  it('is not used when its claims cannot be true', async () => {
    const entries = cutIntoFrames(content, MiB);
    const frames = entries.map(({ frame }) => frame);
    const [first] = entries;
    const tables = [
      seekTable(entries.slice(1)),
      seekTable([...entries, first!]),
      seekTable(entries, { count: 2 }),
      seekTable(entries, { count: 0xffffffff }),
      seekTable(entries, { descriptor: 4 }),
      seekTable(entries, { descriptor: 0x80 }),
      seekTable(entries, { magic: 0x184d2a5d }),
      seekTable([{ frame: Buffer.concat(frames), contentSize: 0 }]),
    ];
    for (const table of tables) {
      await using segments = await open(Buffer.concat([...frames, table]));
      expect(segments.segmentCount).toBe(3);
      await expectContent(segments, content);
    }
    // The table of the last of several concatenated files.
    const twice = Buffer.concat([seekableFile(entries), seekableFile(entries)]);
    await using both = await open(twice);
    expect([both.size, both.segmentCount]).toEqual([2 * content.length, 6]);
  });

  it('cannot make frames give other bytes than they have', async () => {
    const entries = cutIntoFrames(content, MiB);
    const [one, two, three] = entries.map((entry) => entry);
    const lies = [
      [{ ...one!, contentSize: MiB - 1 }, two!, three!],
      [{ ...one!, contentSize: MiB + 1 }, two!, three!],
      [{ ...one!, frame: Buffer.concat([one!.frame, two!.frame]) }, three!],
      [
        { ...one!, frame: one!.frame.subarray(1) },
        { ...two!, frame: Buffer.concat([one!.frame.subarray(0, 1), two!.frame]) },
        three!,
      ],
    ];
    for (const lie of lies) {
      const frames = entries.map(({ frame }) => frame);
      await using segments = await open(Buffer.concat([...frames, seekTable(lie)]));
      expect(segments.segmentCount).toBe(lie.length);
      await expect(decodeSegment(segments, 0)).rejects.toMatchObject({ code: 'TSB_ZSTD_CORRUPT' });
    }
    const unsized = zstdUnsized(content.subarray(0, MiB), '-1');
    for (const contentSize of [1, MiB - 1, MiB + 1, 4e9]) {
      await using segments = await open(seekableFile([{ frame: unsized, contentSize }]));
      await expect(decodeSegment(segments, 0), String(contentSize)).rejects.toMatchObject({
        code: 'TSB_ZSTD_CORRUPT',
      });
    }
  });

  it('is refused with more frames than the limit', async () => {
    const count = 2 * MiB + 1;
    const entries = Buffer.alloc(count * 8, words(1, 1));
    const head = words(0x184d2a5e, entries.length + 9);
    const tail = Buffer.concat([words(count), Buffer.from([0]), words(0x8f92eab1)]);
    await expect(open(Buffer.concat([Buffer.alloc(count), head, entries, tail]))).rejects.toMatchObject({
      code: 'TSB_ZSTD_LIMIT',
      details: { found: count, limit: 2 * MiB },
    });
  });
});

describe('damage', () => {
  const small = mixedContent(500, 5);

  it.each([
    [
      'walked',
      () =>
        Buffer.concat([zstd(small.subarray(0, 400), '--check'), zstdUnsized(small.subarray(400), '--check')]),
    ],
    ['with a seek table', () => seekableFile(cutIntoFrames(small, 300, { frame: false, table: true }))],
  ])('never gives wrong bytes, whichever bit is flipped: %s', async (_, make) => {
    const whole = make();
    let refused = 0;
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const data = Buffer.from(whole);
      data[bit >> 3]! ^= 1 << (bit & 7);
      const got = await open(data)
        .then(async (segments) => {
          await using open = segments;
          return await decodeBackwards(open);
        })
        .catch((error: unknown) => {
          expect((error as { code: string }).code).toMatch(/^TSB_ZSTD_/);
          refused += 1;
          return undefined;
        });
      if (got) expect(got.equals(small)).toBe(true);
    }
    expect(refused).toBeGreaterThan(whole.length * 6);
  });

  it.each([
    ['sized', zstd(small)],
    ['unsized', zstdUnsized(small)],
  ])('refuses every truncated file: %s', async (_, whole) => {
    for (let length = 1; length < whole.length; length += 1)
      await expect(open(whole.subarray(0, length)), String(length)).rejects.toMatchObject({
        code: 'TSB_ZSTD_CORRUPT',
      });
  });

  it('refuses bytes behind the end, as zstd -t does', async () => {
    const data = zstd(small);
    for (const garbage of [Buffer.from('x'), Buffer.alloc(4), words(0x184d2a50, 1)]) {
      const whole = Buffer.concat([data, garbage]);
      expect(() => execFileSync('zstd', ['-tq'], { input: whole, stdio: 'pipe' })).toThrow();
      await expect(open(whole)).rejects.toMatchObject({
        code: 'TSB_ZSTD_CORRUPT',
        details: { offset: data.length },
      });
    }
  });

  it('refuses a header that claims more content than the blocks can have', async () => {
    const header = Buffer.concat([words(0xfd2fb528), Buffer.from([0xc0, 0x38]), words(0, 0x1000)]);
    const block = Buffer.from([1, 0, 0]);
    await expect(open(Buffer.concat([header, block]))).rejects.toMatchObject({
      code: 'TSB_ZSTD_CORRUPT',
      message: expect.stringContaining('17592186044416') as string,
    });
  });

  it('refuses windows above 128 MiB and dictionaries, by name', async () => {
    const long = zstdUnsized(Buffer.alloc(MiB), '--long=28');
    await expect(open(long)).rejects.toMatchObject({
      code: 'TSB_ZSTD_LIMIT',
      details: { found: 256 * MiB, limit: 128 * MiB },
    });
    await using seekable = await open(seekableFile([{ frame: long, contentSize: MiB }]));
    await expect(decodeSegment(seekable, 0)).rejects.toMatchObject({ code: 'TSB_ZSTD_LIMIT' });
    const dictionary = Buffer.concat([words(0xfd2fb528), Buffer.from([0x01, 0x38, 7, 1, 0, 0])]);
    await expect(open(dictionary)).rejects.toMatchObject({ code: 'TSB_ZSTD_UNSUPPORTED' });
  });
});
