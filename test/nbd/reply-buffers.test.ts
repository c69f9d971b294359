import { describe, expect, it } from 'vitest';
import { ReplyBuffers } from '../../src/nbd/reply-buffers.js';

const KIB = 1024;

describe('ReplyBuffers', () => {
  it('gives a buffer that came back to the next who needs one of its length, and to nobody else', () => {
    const buffers = new ReplyBuffers(1024 * KIB);
    const first = buffers.take(64 * KIB);
    expect(buffers.take(64 * KIB)).not.toBe(first);
    buffers.giveBack(first);
    expect(buffers.take(32 * KIB)).toHaveLength(32 * KIB);
    expect(buffers.take(64 * KIB)).toBe(first);
    expect(buffers.take(64 * KIB)).not.toBe(first);
  });

  it('keeps no more than its limit, and what was used last', () => {
    const buffers = new ReplyBuffers(128 * KIB);
    const [a, b, c] = [buffers.take(64 * KIB), buffers.take(64 * KIB), buffers.take(64 * KIB)];
    for (const buffer of [a, b, c]) buffers.giveBack(buffer);
    expect(buffers.take(64 * KIB)).toBe(c);
    expect(buffers.take(64 * KIB)).toBe(b);
    expect(buffers.take(64 * KIB)).not.toBe(a);
  });

  it('keeps none that is larger than all it may keep, and no small ones', () => {
    const buffers = new ReplyBuffers(128 * KIB);
    for (const length of [256 * KIB, 4 * KIB]) {
      const buffer = buffers.take(length);
      buffers.giveBack(buffer);
      expect(buffers.take(length)).not.toBe(buffer);
    }
  });
});
