import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { peekXz } from '../../src/xz/peek-xz.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { xz } from '../helpers/xz.js';

describe('the first bytes of an xz file', () => {
  it.each([
    ['zeros', Buffer.alloc(300_000)],
    ['noise', randomBytes(300_000)],
    ['text', Buffer.from('QFI\xfb and so on, '.repeat(20_000), 'latin1')],
    ['less than is wanted', Buffer.from('abc')],
    ['nothing', Buffer.alloc(0)],
  ])('are found in its first 512 bytes: %s', async (_, content) => {
    const file = xz(content);
    const whole = bytesSource('file', file);
    const reads: number[] = [];
    const source = {
      ...whole,
      read: (offset: number, length: number, signal?: AbortSignal) => {
        reads.push(offset + length);
        return whole.read(offset, length, signal);
      },
    };
    const index = await readXzIndex(whole);
    expect(Buffer.from(await peekXz(source, index, { length: 4 }))).toEqual(content.subarray(0, 4));
    expect(Math.max(0, ...reads)).toBeLessThanOrEqual(512);
  });
});
