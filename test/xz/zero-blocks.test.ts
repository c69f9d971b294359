import { describe, expect, it } from 'vitest';
import { isAllZero } from '../../src/io/all-zero.js';
import type { XzBlock } from '../../src/xz/block-table.js';
import { REMEMBERED_BLOCK, ZeroBlocks } from '../../src/xz/zero-blocks.js';

const BLOCK: XzBlock = {
  number: 0,
  stream: 0,
  compressedOffset: 12,
  unpaddedSize: 30,
  totalSize: 32,
  uncompressedOffset: 0,
  uncompressedSize: 4096,
};

describe('ZeroBlocks', () => {
  it('knows a block again only when bytes, check and both sizes are the same', () => {
    const zeros = new ZeroBlocks();
    const bytes = Buffer.alloc(32, 7);
    expect(zeros.has(BLOCK, 4, bytes)).toBe(false);
    zeros.add(BLOCK, 4, bytes);
    expect(zeros.has({ ...BLOCK, number: 9, compressedOffset: 999 }, 4, Buffer.from(bytes))).toBe(true);
    expect(zeros.has(BLOCK, 1, bytes)).toBe(false);
    expect(zeros.has({ ...BLOCK, uncompressedSize: 4097 }, 4, bytes)).toBe(false);
    expect(zeros.has({ ...BLOCK, unpaddedSize: 31 }, 4, bytes)).toBe(false);
    for (const at of [0, 15, 31]) {
      const other = Buffer.from(bytes);
      other[at] = 8;
      expect(zeros.has(BLOCK, 4, other)).toBe(false);
    }
  });

  it('keeps a few small blocks only', () => {
    const zeros = new ZeroBlocks();
    for (let value = 0; value < 100; value += 1) zeros.add(BLOCK, 4, Buffer.alloc(32, value));
    const kept = Array.from({ length: 100 }, (_, value) => zeros.has(BLOCK, 4, Buffer.alloc(32, value)));
    expect(kept.filter(Boolean).length).toBe(8);
    const large = Buffer.alloc(REMEMBERED_BLOCK + 1);
    zeros.add(BLOCK, 4, large);
    expect(zeros.has(BLOCK, 4, large)).toBe(false);
  });
});

describe('isAllZero', () => {
  it('sees a single bit anywhere', () => {
    for (const length of [0, 1, 65535, 65536, 65537, 200_000]) {
      const data = Buffer.alloc(length);
      expect(isAllZero(data)).toBe(true);
      for (const at of [0, length >> 1, length - 1].filter((index) => index >= 0 && index < length)) {
        data[at] = 1;
        expect(isAllZero(data)).toBe(false);
        data[at] = 0;
      }
    }
  });
});
