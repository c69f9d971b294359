import { expect } from 'vitest';
import type { SegmentedContent } from '../../src/io/segments.js';

/** Decodes one segment, with every slice still whole after a turn of the event loop. */
export async function decodeSegment(content: SegmentedContent, number: number): Promise<Buffer> {
  const slices: Buffer[] = [];
  for await (const slice of content.decode(number, {})) {
    expect(slice.length).toBeGreaterThan(0);
    expect(slice.length).toBeLessThanOrEqual(1024 * 1024);
    await new Promise((resolve) => setImmediate(resolve));
    slices.push(Buffer.from(slice));
  }
  return Buffer.concat(slices);
}

/** All content, segment by segment from the last to the first, so that none is decoded behind the one in front of it. */
export async function decodeBackwards(content: SegmentedContent): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let number = content.segmentCount - 1; number >= 0; number -= 1)
    parts.unshift(await decodeSegment(content, number));
  return Buffer.concat(parts);
}

/** Checks the table of `content`, every byte of it, and that what is said to be zero is. */
export async function expectContent(content: SegmentedContent, expected: Uint8Array): Promise<void> {
  expect(content.size).toBe(expected.length);
  let end = 0;
  for (let number = 0; number < content.segmentCount; number += 1) {
    const { offset, size } = content.segment(number);
    expect(offset).toBe(end);
    expect(size).toBeGreaterThan(0);
    expect([content.find(offset), content.find(offset + size - 1)]).toEqual([number, number]);
    if (await content.isZero?.(number))
      expect(expected.subarray(offset, offset + size).every((byte) => byte === 0)).toBe(true);
    end = offset + size;
  }
  expect(end).toBe(expected.length);
  // Buffer.equals, because comparing megabytes with toEqual takes seconds.
  expect((await decodeBackwards(content)).equals(expected)).toBe(true);
}

/** A content of `length` bytes like a disk: stretches of text, noise, zeros and repetitions, cut by `seed`. */
export function mixedContent(length: number, seed = 1): Buffer {
  const data = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
  for (let at = 0; at < length;) {
    const kind = next() % 4;
    const end = Math.min(length, at + 1 + (next() % Math.max(2, Math.floor(length / 8))));
    if (kind === 0) for (; at < end; at += 1) data[at] = next();
    else if (kind === 1) for (; at < end; at += 1) data[at] = 97 + (next() % 12);
    else if (kind === 2) data.fill('The same again, and ', at, end);
    at = end;
  }
  return data;
}
