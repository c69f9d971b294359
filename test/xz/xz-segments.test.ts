import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import type { SegmentedContent } from '../../src/io/segments.js';
import type { BlockVerifier } from '../../src/xz/block-verifier.js';
import { readCompressedBlock } from '../../src/xz/compressed-block.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { type XzSegmentsOptions, openXzSegments } from '../../src/xz/xz-segments.js';
import { describeEachEngine, text, xz } from '../helpers/xz.js';

const MIB = 1024 * 1024;

/** A source that remembers what was read of it. */
function recording(data: Uint8Array): ByteSource & { readonly reads: { offset: number; length: number }[] } {
  const inner = bytesSource('test.xz', data);
  const reads: { offset: number; length: number }[] = [];
  return {
    ...inner,
    reads,
    read(offset, length, signal) {
      reads.push({ offset, length });
      return inner.read(offset, length, signal);
    },
  };
}

async function open(
  file: Uint8Array,
  options?: XzSegmentsOptions,
): Promise<{ content: SegmentedContent; reads: { offset: number; length: number }[] }> {
  const index = await readXzIndex(bytesSource('test.xz', file));
  const source = recording(file);
  return { content: openXzSegments(source, index, options), reads: source.reads };
}

async function decode(content: SegmentedContent, number: number): Promise<Buffer> {
  const slices: Buffer[] = [];
  for await (const slice of content.decode(number, {})) slices.push(Buffer.from(slice));
  return Buffer.concat(slices);
}

/** Which of these segments are zero, asked for all at once. */
async function zeros(content: SegmentedContent, numbers: readonly number[]): Promise<boolean[]> {
  return Promise.all(numbers.map(async (number) => (await content.isZero?.(number)) === true));
}

/** Knows the SHA-256 of the blocks of `file` as they are now. */
async function verifierOf(file: Uint8Array): Promise<BlockVerifier> {
  const hash = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
  const digests = [...(await readXzIndex(bytesSource('test.xz', file))).blocks()].map(
    ({ compressedOffset: at, totalSize }) => hash(file.subarray(at, at + totalSize)),
  );
  const judge = (number: number, digest: string): void => {
    if (digests[number] !== digest)
      throw new TsbuilderError('TSB_CHECKSUM_MISMATCH', `block ${number} is not what it must be`);
  };
  return {
    check: (number, compressed) => judge(number, hash(compressed)),
    begin(number) {
      const running = createHash('sha256');
      return {
        update: (piece) => void running.update(piece),
        finish: () => judge(number, running.digest('hex')),
      };
    },
  };
}

describeEachEngine('openXzSegments', () => {
  it('decodes each block by one read of exactly its bytes', async () => {
    const data = text(2 * MIB + 77);
    const file = xz(data, '-0', '--block-size=524288');
    const { content, reads } = await open(file);
    await using closing = content;
    expect([closing.size, closing.segmentCount]).toEqual([data.length, 5]);
    for (let number = 0; number < closing.segmentCount; number += 1) {
      const { offset, size } = closing.segment(number);
      expect(Buffer.compare(await decode(closing, number), data.subarray(offset, offset + size))).toBe(0);
      expect([closing.find(offset), closing.find(offset + size - 1)]).toEqual([number, number]);
    }
    const blocks = [...(await readXzIndex(bytesSource('test.xz', file))).blocks()];
    expect(reads).toEqual(
      blocks.map(({ compressedOffset, totalSize }) => ({ offset: compressedOffset, length: totalSize })),
    );
  });

  it('leaves out blocks and streams without content', async () => {
    const parts = [text(1000), text(2000, 5)] as const;
    const none = xz(Buffer.alloc(0));
    const { content } = await open(Buffer.concat([none, xz(parts[0]), none, none, xz(parts[1]), none]));
    await using closing = content;
    expect([closing.segmentCount, closing.find(999), closing.find(1000)]).toEqual([2, 0, 1]);
    expect(Buffer.compare(await decode(closing, 1), parts[1])).toBe(0);
    expect(() => closing.segment(2)).toThrow(RangeError);
    expect(() => closing.find(3000)).toThrow(RangeError);
  });

  it('gives the last slice only when the check is right', async () => {
    const size = MIB;
    const file = xz(text(size), '-0', `--block-size=${size}`);
    const { compressedOffset, unpaddedSize } = (await readXzIndex(bytesSource('test.xz', file))).block(0);
    file[compressedOffset + unpaddedSize - 1]! ^= 1;
    const { content } = await open(file);
    await using closing = content;
    let got = 0;
    const all = (async () => {
      for await (const slice of closing.decode(0, {})) got += slice.length;
    })();
    await expect(all).rejects.toMatchObject({ code: 'TSB_XZ_CORRUPT', details: { block: 0 } });
    expect(got).toBe(size / 2);
  });

  it('has a block verified before any of it is decoded', async () => {
    const file = xz(text(MIB), '-0', '--block-size=524288');
    const verify = await verifierOf(file);
    const { compressedOffset, totalSize } = (await readXzIndex(bytesSource('test.xz', file))).block(1);
    file[compressedOffset + totalSize - 20]! ^= 1;
    const { content } = await open(file, { verify });
    await using closing = content;
    expect((await decode(closing, 0)).length).toBe(MIB / 2);
    const first = closing.decode(1, {}).next();
    await expect(first).rejects.toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH' });
  });

  it('fetches in advance when told to, a few blocks, and each once', async () => {
    const data = text(8 * 65536);
    const { content, reads } = await open(xz(data, '-0', '--block-size=65536'));
    await using closing = content;
    for (const number of [0, 1, 2, 3, 2, 3]) closing.prepare?.(number);
    expect(reads.length).toBe(4);
    for (const number of [3, 1, 2, 0, 4])
      expect(
        Buffer.compare(await decode(closing, number), data.subarray(number * 65536, (number + 1) * 65536)),
      ).toBe(0);
    expect(reads.length).toBe(5);
    for (const number of [0, 1, 2, 3, 4, 5]) closing.prepare?.(number);
    expect((await decode(closing, 0)).length).toBe(65536);
    expect(reads.length).toBe(12);
  });

  it('frees its decoder when a decoding is ended early or aborted', async () => {
    const data = text(2 * MIB);
    const { content } = await open(xz(data, '-0'));
    await using closing = content;
    for await (const slice of closing.decode(0, {})) {
      expect(slice.length).toBe(512 * 1024);
      break;
    }
    const aborted = closing.decode(0, { signal: AbortSignal.abort(new Error('stop')) }).next();
    await expect(aborted).rejects.toThrow('stop');
    expect(Buffer.compare(await decode(closing, 0), data)).toBe(0);
  });

  it('finds zero blocks by one read for all neighbours and the decoding of one', async () => {
    const data = Buffer.concat([text(MIB), Buffer.alloc(5 * MIB), text(MIB), Buffer.alloc(2 * MIB)]);
    const { content, reads } = await open(xz(data, '-0', `--block-size=${MIB}`));
    await using closing = content;
    const answers = await zeros(closing, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(answers).toEqual([false, true, true, true, true, true, false, true, true]);
    expect(reads.length).toBe(2);
    expect(await closing.isZero?.(8)).toBe(true);
    expect(reads.length).toBe(2);
  });

  it('learns from a decoding which blocks are zero', async () => {
    const { content, reads } = await open(xz(Buffer.alloc(3 * MIB), '-0', `--block-size=${MIB}`));
    await using closing = content;
    await decode(closing, 1);
    expect(await closing.isZero?.(1)).toBe(true);
    expect(reads.length).toBe(1);
    expect(await closing.isZero?.(0)).toBe(true);
  });

  it('does not call zero what packs as well, is damaged, or fails its verifier', async () => {
    const make = (data: Buffer): Buffer => xz(data, '-0', `--block-size=${MIB}`);
    const ask = async (file: Uint8Array, options?: XzSegmentsOptions): Promise<boolean[]> => {
      const { content } = await open(file, options);
      await using closing = content;
      return await zeros(closing, [2, 1, 0]);
    };
    const [ones, good, damaged] = [
      make(Buffer.alloc(3 * MIB, 1)),
      make(Buffer.alloc(3 * MIB)),
      make(Buffer.alloc(3 * MIB)),
    ];
    const { compressedOffset } = (await readXzIndex(bytesSource('test.xz', damaged))).block(1);
    damaged[compressedOffset + 30]! ^= 1;
    expect(await ask(ones)).toEqual([false, false, false]);
    expect(await ask(damaged)).toEqual([true, false, true]);
    expect(await ask(damaged, { verify: await verifierOf(good) })).toEqual([true, false, true]);
    expect(await ask(good, { verify: await verifierOf(ones) })).toEqual([false, false, false]);
  });
});

describe('readCompressedBlock', () => {
  const data = text(40 * MIB);
  const block = {
    number: 7,
    stream: 0,
    compressedOffset: 12,
    unpaddedSize: 35 * MIB,
    totalSize: 35 * MIB,
    uncompressedOffset: 0,
    uncompressedSize: 1,
  };
  const digest = createHash('sha256')
    .update(data.subarray(12, 12 + block.totalSize))
    .digest('hex');
  const verify: BlockVerifier = {
    check: () => expect.unreachable(),
    begin() {
      const hash = createHash('sha256');
      return {
        update: (piece) => void hash.update(piece),
        finish: () => expect(hash.digest('hex')).toBe(digest),
      };
    },
  };
  const pieces = async (source: ByteSource, options = {}): Promise<number[]> => {
    const lengths: number[] = [];
    const hash = createHash('sha256');
    for await (const piece of readCompressedBlock(source, block, options)) {
      hash.update(piece);
      lengths.push(piece.length);
    }
    expect(hash.digest('hex')).toBe(digest);
    return lengths;
  };

  it('reads a large block in pieces, and twice when it must be verified', async () => {
    const source = recording(data);
    const expected = [8, 8, 8, 8, 3].map((size) => size * MIB);
    expect(await pieces(source)).toEqual(expected);
    expect(source.reads.map(({ length }) => length)).toEqual(expected);
    expect(await pieces(source, { verify })).toEqual(expected);
    expect(source.reads.length).toBe(15);
  });

  it('notices when the source gives other bytes the second time', async () => {
    const source = recording(data);
    const changing: ByteSource = {
      ...source,
      async read(offset, length, signal) {
        const piece = await source.read(offset, length, signal);
        if (source.reads.length === 8) piece[5]! ^= 1;
        return piece;
      },
    };
    await expect(pieces(changing, { verify })).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
  });
});
