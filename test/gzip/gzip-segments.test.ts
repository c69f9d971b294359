import { execFileSync } from 'node:child_process';
import { deflateRawSync, gzipSync, crc32, constants } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isGzip, openGzipSegments } from '../../src/gzip/gzip-segments.js';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import { decodeSegment, expectContent, mixedContent } from '../helpers/segments.js';
import { countingSource } from '../helpers/xz.js';

const KiB = 1024;
const MiB = 1024 * KiB;

const tool = (name: string, input: Uint8Array, ...args: string[]): Buffer =>
  execFileSync(name, ['-c', ...args], { input, maxBuffer: 2 ** 30 });

const open = (data: Uint8Array, seekPointBytes = 64 * KiB) =>
  openGzipSegments(bytesSource('test.gz', data), { seekPointBytes });

/** Members of `size` bytes of content each, as bgzip makes them, with a field of its own in each header. */
function manyMembers(data: Buffer, size: number): Buffer {
  const members: Buffer[] = [];
  for (let at = 0; at < data.length; at += size) {
    const part = data.subarray(at, at + size);
    const body = deflateRawSync(part);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(crc32(part), 0);
    trailer.writeUInt32LE(part.length, 4);
    const extra = Buffer.from([0x42, 0x43, 2, 0, (body.length + 25) & 0xff, (body.length + 25) >> 8]);
    members.push(Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0]), extra, body, trailer);
  }
  return Buffer.concat(members);
}

const content = mixedContent(3 * MiB, 7);

describe('openGzipSegments', () => {
  it.each([
    ['gzip -1', () => tool('gzip', content, '-1')],
    ['gzip -9', () => tool('gzip', content, '-9')],
    ['pigz', () => tool('pigz', content, '-p', '3', '-b', '128')],
    ['pigz --independent', () => tool('pigz', content, '-i', '-b', '128')],
    ['pigz -11', () => tool('pigz', content.subarray(0, 200 * KiB), '-11'), 200 * KiB],
    ['stored blocks', () => gzipSync(content, { level: 0 })],
    ['fixed codes', () => gzipSync(content, { strategy: constants.Z_FIXED })],
    ['runs only', () => gzipSync(content, { strategy: constants.Z_RLE })],
    ['a small window', () => gzipSync(content, { windowBits: 9 })],
    ['bgzip-like members', () => manyMembers(content, 65280)],
    [
      'concatenated files',
      () => Buffer.concat([0, 1, 2].map((n) => gzipSync(content.subarray(n * MiB, (n + 1) * MiB)))),
    ],
  ])('gives every byte of %s from any segment', async (_, make, length = content.length) => {
    await using segments = await open(make());
    expect(segments.segmentCount).toBeGreaterThan(length / MiB);
    await expectContent(segments, content.subarray(0, length));
  });

  it('begins a segment about every seekPointBytes, 4 MiB by default', async () => {
    const data = mixedContent(12 * MiB, 3);
    await using segments = await openGzipSegments(bytesSource('test.gz', gzipSync(data, { level: 1 })), {});
    const sizes = Array.from({ length: segments.segmentCount }, (_, number) => segments.segment(number).size);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(4 * MiB);
    expect(segments.segmentCount).toBeGreaterThanOrEqual(2);
    await expectContent(segments, data);
  });

  it('reads any content back, however it was compressed', async () => {
    const parts = fc.record({
      length: fc.integer({ min: 0, max: 400_000 }),
      seed: fc.integer(),
      level: fc.integer({ min: 0, max: 9 }),
      memLevel: fc.integer({ min: 1, max: 9 }),
    });
    const property = fc.asyncProperty(
      fc.array(parts, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 200_000 }),
      async (members, seekPointBytes) => {
        const datas = members.map(({ length, seed }) => mixedContent(length, seed));
        const files = members.map(({ level, memLevel }, n) => gzipSync(datas[n]!, { level, memLevel }));
        await using segments = await open(Buffer.concat(files), seekPointBytes);
        await expectContent(segments, Buffer.concat(datas));
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  it('reads only the compressed bytes of the segment', async () => {
    const data = gzipSync(content);
    const source = countingSource(data);
    await using segments = await openGzipSegments(source, { seekPointBytes: 256 * KiB });
    expect(source.bytesRead()).toBe(data.length);
    const busiest = Array.from({ length: segments.segmentCount }, (_, number) => number);
    for (const number of busiest) await decodeSegment(segments, number);
    // Neighbours share at most one byte.
    expect(source.bytesRead()).toBeLessThanOrEqual(2 * data.length + segments.segmentCount);
  });

  it('decodes segments at the same time, some of them left halfway', async () => {
    await using segments = await open(gzipSync(content));
    const numbers = Array.from({ length: segments.segmentCount * 2 }, (_, n) => n % segments.segmentCount);
    const tasks = numbers.map(async (number, index) => {
      const { offset, size } = segments.segment(number);
      if (index % 5 === 0) for await (const slice of segments.decode(number, {})) return slice.length > 0;
      return (await decodeSegment(segments, number)).equals(content.subarray(offset, offset + size));
    });
    expect(new Set(await Promise.all(tasks))).toEqual(new Set([true]));
  });

  it('knows zeros without reading', async () => {
    const data = Buffer.concat([mixedContent(MiB), Buffer.alloc(40 * MiB), mixedContent(MiB)]);
    const source = countingSource(gzipSync(data, { level: 1 }));
    await using segments = await openGzipSegments(source, { seekPointBytes: MiB });
    const read = source.bytesRead();
    const zero = segments.find(20 * MiB);
    expect(await segments.isZero?.(zero)).toBe(true);
    expect(await segments.isZero?.(0)).toBe(false);
    expect((await decodeSegment(segments, zero)).length).toBe(segments.segment(zero).size);
    expect(source.bytesRead()).toBe(read);
    await expectContent(segments, data);
  });

  it('hands all content of the pass to the sink and reports all of the file as progress', async () => {
    const data = manyMembers(content, 300_000);
    const [seen, sources] = [[] as Buffer[], bytesSource('test.gz', data)];
    let [end, used] = [0, 0];
    await using segments = await openGzipSegments(sources, {
      onProgress: (bytes) => (used += bytes),
      async sink(offset, slice) {
        expect(offset).toBe(end);
        end += slice.length;
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(Buffer.from(slice));
      },
    });
    expect(segments.size).toBe(content.length);
    expect(used).toBe(data.length);
    expect(Buffer.concat(seen).equals(content)).toBe(true);
  });

  it('takes empty files and empty members', async () => {
    const empty = gzipSync('');
    await using nothing = await open(Buffer.concat([empty, empty]));
    expect([nothing.size, nothing.segmentCount]).toEqual([0, 0]);
    const data = Buffer.concat([empty, gzipSync('one'), empty, gzipSync('two'), empty]);
    await using some = await open(data, 1);
    await expectContent(some, Buffer.from('onetwo'));
  });

  it('takes every optional header field', async () => {
    const plain = gzipSync('content');
    const fields = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 31, 1, 2, 3, 4, 2, 3, 3, 0, 7, 8, 9]),
      Buffer.from(`${'n'.repeat(3000)}\0a comment\0`, 'latin1'),
    ]);
    const check = Buffer.alloc(2);
    check.writeUInt16LE(crc32(fields) & 0xffff);
    const body = plain.subarray(10);
    await using right = await open(Buffer.concat([fields, check, body]));
    await expectContent(right, Buffer.from('content'));
    check.writeUInt16LE((crc32(fields) & 0xffff) ^ 1);
    await expect(open(Buffer.concat([fields, check, body]))).rejects.toMatchObject({
      code: 'TSB_GZIP_CORRUPT',
      message: expect.stringContaining('wrong CRC16') as string,
    });
  });

  it('ignores zeros behind the end and refuses anything else there, as gzip -t tells', async () => {
    const data = gzipSync('content');
    await using padded = await open(Buffer.concat([data, Buffer.alloc(5000)]));
    await expectContent(padded, Buffer.from('content'));
    for (const garbage of [Buffer.from('x'), Buffer.from([0, 0, 1]), Buffer.from([0x1f])]) {
      const whole = Buffer.concat([data, garbage]);
      expect(() => execFileSync('gzip', ['-t'], { input: whole, stdio: 'pipe' })).toThrow();
      await expect(open(whole)).rejects.toMatchObject({
        code: 'TSB_GZIP_CORRUPT',
        details: { offset: data.length },
      });
    }
  });

  it('refuses what is no gzip file', async () => {
    expect([isGzip(gzipSync('')), isGzip(Buffer.from('BZh')), isGzip(Buffer.alloc(0))]).toEqual([
      true,
      false,
      false,
    ]);
    for (const data of [
      Buffer.alloc(0),
      Buffer.alloc(100),
      Buffer.from('text'),
      Buffer.from([0x1f, 0x8b, 7, 0]),
    ])
      await expect(open(data)).rejects.toMatchObject({ code: 'TSB_GZIP_CORRUPT' });
  });

  it('stops when aborted', async () => {
    const stop = new AbortController();
    const data = gzipSync(mixedContent(8 * MiB));
    const opening = openGzipSegments(bytesSource('test.gz', data), {
      signal: stop.signal,
      sink() {
        stop.abort();
        return Promise.resolve();
      },
    });
    await expect(opening).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('passes on what the sink throws', async () => {
    const data = gzipSync(mixedContent(8 * MiB));
    const sink = () => Promise.reject(new Error('full'));
    await expect(openGzipSegments(bytesSource('test.gz', data), { sink })).rejects.toThrow('full');
  });
});

describe('damage', () => {
  const small = mixedContent(1200, 5);
  const damaged = Buffer.concat([gzipSync(small.subarray(0, 800)), gzipSync(small.subarray(800))]);

  it('never gives wrong bytes, whichever bit is flipped', async () => {
    let refused = 0;
    for (let bit = 0; bit < damaged.length * 8; bit += 1) {
      const data = Buffer.from(damaged);
      data[bit >> 3]! ^= 1 << (bit & 7);
      const segments = await open(data, 300).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'TSB_GZIP_CORRUPT' });
        refused += 1;
      });
      if (segments) await expectContent(segments, small);
    }
    expect(refused).toBeGreaterThan(damaged.length * 7);
  });

  it('refuses every truncated file', async () => {
    const one = gzipSync(small);
    for (let length = 0; length < one.length; length += 1)
      await expect(open(one.subarray(0, length)), String(length)).rejects.toMatchObject({
        code: 'TSB_GZIP_CORRUPT',
      });
  });

  it('notices a file that is changed after it was opened', async () => {
    const [data, other] = [gzipSync(content), gzipSync(mixedContent(3 * MiB, 8))];
    const flipped = Buffer.from(data);
    flipped[data.length >> 1]! ^= 4;
    for (const later of [flipped, other, Buffer.alloc(data.length)]) {
      const source = changingSource(data, later);
      await using segments = await openGzipSegments(source, { seekPointBytes: 128 * KiB });
      source.change();
      let noticed = 0;
      for (let number = 0; number < segments.segmentCount; number += 1) {
        const { offset, size } = segments.segment(number);
        const decoded = await decodeSegment(segments, number).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'TSB_CONTENT_CHANGED', details: { contentOffset: offset } });
          noticed += 1;
        });
        if (decoded) expect(decoded.equals(content.subarray(offset, offset + size))).toBe(true);
      }
      expect(noticed).toBeGreaterThan(0);
    }
  });

  it('holds the last slice back until it is known to be right', async () => {
    // Stored blocks: damage changes content, and nothing else notices.
    const data = gzipSync(Buffer.alloc(600 * KiB, 'text'), { level: 0 });
    const flipped = Buffer.from(data);
    flipped[1000]! ^= 1;
    const source = changingSource(data, flipped);
    await using segments = await openGzipSegments(source, {});
    source.change();
    let delivered = 0;
    const decoding = (async () => {
      for await (const slice of segments.decode(0, {})) delivered += slice.length;
    })();
    await expect(decoding).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
    expect(delivered).toBe(512 * KiB);
  });
});

/** A source whose bytes become others, padded or cut to the same size. */
function changingSource(now: Buffer, later: Buffer): ByteSource & { change: () => void } {
  const other = Buffer.alloc(now.length);
  later.copy(other);
  let current = bytesSource('test.gz', now);
  return {
    ...current,
    read: (offset, length, signal) => current.read(offset, length, signal),
    change: () => (current = bytesSource('test.gz', other)),
  };
}
