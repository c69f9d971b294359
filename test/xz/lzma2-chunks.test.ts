import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { cutByContent } from '../../src/xz/lzma2-chunks.js';
import { oneBlockStream } from '../../src/xz/one-block-stream.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { text, xz } from '../helpers/xz.js';

async function streamOfFirstBlock(data: Uint8Array): Promise<Buffer> {
  const source = bytesSource('test.xz', data);
  const block = (await readXzIndex(source)).block(0);
  return Buffer.concat(await collect(oneBlockStream({ source, block, check: 4 })));
}

async function cut(pieces: readonly Uint8Array[], limit: number): Promise<Uint8Array[]> {
  async function* give(): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) yield await Promise.resolve(piece);
  }
  return collect(cutByContent(give(), limit));
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const result: Uint8Array[] = [];
  for await (const piece of pieces) result.push(Uint8Array.from(piece));
  return result;
}

describe('cutByContent', () => {
  it('passes all bytes on, whatever they are and wherever they are split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array()),
        fc.integer({ min: 1, max: 5000 }),
        async (pieces, limit) => {
          expect(Buffer.concat(await cut(pieces, limit))).toEqual(Buffer.concat(pieces));
        },
      ),
    );
  });

  it('cuts the headers off the first chunk', async () => {
    const stream = await streamOfFirstBlock(xz(text(1000)));
    const pieces = await cut([stream], 1024 * 1024);
    expect(pieces[0]).toHaveLength(12 + ((stream[12] ?? 0) + 1) * 4);
  });

  it('cuts zeros, which compress 7000 times, into pieces of one chunk', async () => {
    const stream = await streamOfFirstBlock(xz(Buffer.alloc(32 * 1024 * 1024), '-0'));
    const pieces = await cut([stream], 1024 * 1024);
    expect(pieces.length).toBeGreaterThanOrEqual(16);
    expect(Buffer.concat(pieces)).toEqual(stream);
    const together = await cut([stream], 8 * 1024 * 1024);
    expect(together.length).toBeGreaterThanOrEqual(4);
    expect(together.length).toBeLessThan(8);
  });

  it('cuts at the same places however the stream is split', async () => {
    const incompressible = createHash('shake256', { outputLength: 200_000 }).digest();
    const stream = await streamOfFirstBlock(
      xz(Buffer.concat([text(300_000), incompressible, text(90_000, 3)])),
    );
    const whole = ends(await cut([stream], 1));
    expect(whole.length).toBeGreaterThan(4);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(stream.length), { maxLength: 20 }), async (at) => {
        const splits = [0, ...at.sort((a, b) => a - b), stream.length];
        const pieces = splits.slice(1).map((end, index) => stream.subarray(splits[index], end));
        const cuts = new Set(ends(await cut(pieces, 1)));
        // A header that is split over two pieces cannot be cut off any more; then the split itself is a cut inside of it.
        const missing = whole.filter((end) => !cuts.has(end) && !splits.some((s) => s > end && s < end + 6));
        expect(missing).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});

function ends(pieces: readonly Uint8Array[]): number[] {
  let end = 0;
  return pieces.map((piece) => (end += piece.length));
}
