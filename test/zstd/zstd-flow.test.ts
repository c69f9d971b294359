import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { isBestInOrder, peekZstd, streamZstd } from '../../src/zstd/zstd-flow.js';
import { mixedContent } from '../helpers/segments.js';
import { countingSource } from '../helpers/xz.js';
import { cutIntoFrames, pzstd, seekableFile, words, zstd, zstdUnsized } from '../helpers/zstd-file.js';

const KiB = 1024;
const content = mixedContent(3 * KiB * KiB + 5, 11);
const skippable = Buffer.concat([words(0x184d2a53, 10), Buffer.alloc(10, 0xfd)]);

async function streamed(data: Uint8Array): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let at = 0;
  const size = await streamZstd(bytesSource('test.zst', data), {
    async sink(offset, piece) {
      expect(offset).toBe(at);
      at += piece.length;
      // The decoder works on meanwhile, and must not work here.
      await new Promise((done) => setImmediate(done));
      pieces.push(Buffer.from(piece));
    },
  });
  expect(size).toBe(at);
  return Buffer.concat(pieces);
}

describe('streamZstd', () => {
  it('gives all content in order, of any frames', async () => {
    for (const data of [zstd(content), zstdUnsized(content), pzstd(content)])
      expect((await streamed(data)).equals(content)).toBe(true);
    const lengths = fc.array(fc.nat(300_000), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(lengths, async (all) => {
        const parts = all.map((length, index) => content.subarray(index * 500, index * 500 + length));
        const frames = parts.map((part, index) => (index % 2 === 0 ? zstd(part) : zstdUnsized(part)));
        const data = Buffer.concat([skippable, ...frames, skippable]);
        expect((await streamed(data)).equals(Buffer.concat(parts))).toBe(true);
      }),
      { numRuns: 8 },
    );
  });

  it('reads every byte once', async () => {
    const data = zstd(content);
    const source = countingSource(data);
    await streamZstd(source, { sink: () => Promise.resolve() });
    expect(source.bytesRead()).toBe(data.length);
  });

  it('rejects damage, a cut and what the sink throws', async () => {
    const data = zstd(content);
    const wrongCheck = Buffer.from(data);
    wrongCheck.writeUInt8(wrongCheck.readUInt8(data.length - 1) ^ 1, data.length - 1);
    for (const bad of [
      wrongCheck,
      data.subarray(0, -1),
      data.subarray(0, data.length / 2),
      Buffer.from('no zstd'),
    ])
      await expect(streamed(bad)).rejects.toMatchObject({ code: 'TSB_ZSTD_CORRUPT' });
    const full = new Error('full');
    const sink = (): Promise<void> => Promise.reject(full);
    await expect(streamZstd(bytesSource('x', data), { sink })).rejects.toBe(full);
  });
});

describe('isBestInOrder', () => {
  const best = (data: Uint8Array, local: boolean): Promise<boolean> =>
    isBestInOrder(bytesSource('x', data), { local });

  it('is not so of files with a seek table, nor of near ones with small frames', async () => {
    const frames = cutIntoFrames(content, KiB * KiB);
    expect(await best(seekableFile(frames), false)).toBe(false);
    expect(await best(zstd(content), true)).toBe(false);
    expect(await best(zstd(content), false)).toBe(true);
    expect(await best(zstdUnsized(content), true)).toBe(true);
    expect(await best(pzstd(content), true)).toBe(true);
  });
});

describe('peekZstd', () => {
  const peek = (data: Uint8Array): Promise<Uint8Array | undefined> => peekZstd(bytesSource('x', data), 4);

  it('shows how the content begins', async () => {
    for (const data of [zstd(content), zstdUnsized(content)])
      expect(await peek(data)).toEqual(Buffer.from(content.subarray(0, 4)));
  });

  it('shows nothing where it cannot tell', async () => {
    const cut = zstd(content).subarray(0, 20);
    for (const data of [zstd(Buffer.alloc(3)), Buffer.concat([skippable, zstd(content)]), cut])
      expect(await peek(data)).toBeUndefined();
  });
});
