import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { type XzBlockHeader, parseBlockHeader, readBlockHeader } from '../../src/xz/block-header.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { text, xz } from '../helpers/xz.js';

async function headerOf(data: Uint8Array, number = 0): Promise<XzBlockHeader> {
  const source = bytesSource('test.xz', data);
  return readBlockHeader(source, (await readXzIndex(source)).block(number));
}

describe('readBlockHeader', () => {
  it('knows filters and dictionary sizes as the xz tool sets them', async () => {
    const MiB = 1024 * 1024;
    for (const [size, bytes] of [
      ['4KiB', 4096],
      ['6KiB', 6144],
      ['1MiB', MiB],
      ['96MiB', 96 * MiB],
    ] as const) {
      const header = await headerOf(xz(text(100), `--lzma2=preset=0,dict=${size}`));
      expect(header).toMatchObject({
        dictionarySize: bytes,
        compressedSize: undefined,
        uncompressedSize: undefined,
      });
    }
    const chain = await headerOf(xz(text(100), '--x86', '--delta=dist=4', '--lzma2'));
    expect(chain.filters.map(({ name }) => name)).toEqual(['x86', 'delta', 'lzma2']);
    expect([...(chain.filters[1]?.properties ?? [])]).toEqual([3]);
    expect(chain.headerSize).toBe(16);
  });

  it('reads the sizes that threaded encoding stores', async () => {
    const data = xz(text(20_000), '-T2', '--block-size=8192');
    const index = await readXzIndex(bytesSource('test.xz', data));
    for (const block of index.blocks()) {
      const header = await headerOf(data, block.number);
      expect(header.uncompressedSize).toBe(block.uncompressedSize);
      expect(header.headerSize + (header.compressedSize ?? 0) + 8).toBe(block.unpaddedSize);
    }
  });

  it('refuses every flipped bit, naming the block', async () => {
    const data = xz(text(100));
    for (let bit = 0; bit < 12 * 8; bit += 1) {
      const flipped = Buffer.from(data);
      flipped[12 + (bit >> 3)] = (flipped[12 + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
      await expect(headerOf(flipped)).rejects.toThrow(/^test\.xz: header of block 0 at offset 12: /);
    }
    await expect(headerOf(Buffer.from(data).fill(0, 12, 13))).rejects.toBeInstanceOf(TsbuilderError);
  });

  it('never ends otherwise than with a header or its own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (data) => {
        try {
          parseBlockHeader(data);
        } catch (error) {
          expect(error).toHaveProperty('name', 'BlockHeaderError');
        }
      }),
    );
  });
});
