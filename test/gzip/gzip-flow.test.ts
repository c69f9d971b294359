import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { peekGzip, streamGzip } from '../../src/gzip/gzip-flow.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { mixedContent } from '../helpers/segments.js';
import { countingSource } from '../helpers/xz.js';

const content = mixedContent(5 * 1024 * 1024 + 3, 3);

async function streamed(data: Uint8Array): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let at = 0;
  const size = await streamGzip(bytesSource('test.gz', data), {
    async sink(offset, piece) {
      expect(offset).toBe(at);
      // The decoder works on meanwhile, and must not work here.
      await new Promise((done) => setImmediate(done));
      pieces.push(Buffer.from(piece));
      at += piece.length;
    },
  });
  expect(size).toBe(at);
  return Buffer.concat(pieces);
}

describe('streamGzip', () => {
  it('gives all content in order, of any number of members', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(400_000), { minLength: 1, maxLength: 5 }), async (lengths) => {
        const parts = lengths.map((length, index) => content.subarray(index * 1000, index * 1000 + length));
        const data = Buffer.concat([...parts.map((part) => gzipSync(part, { level: 1 })), Buffer.alloc(7)]);
        expect((await streamed(data)).equals(Buffer.concat(parts))).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('reads every byte once', async () => {
    const data = gzipSync(content, { level: 1 });
    const source = countingSource(data);
    await streamGzip(source, { sink: () => Promise.resolve() });
    expect(source.bytesRead()).toBe(data.length);
  });

  it('rejects damage, a cut and what the sink throws', async () => {
    const data = gzipSync(content.subarray(0, 2_000_000));
    const wrongCheck = Buffer.from(data);
    wrongCheck.writeUInt32LE(0, data.length - 8);
    for (const bad of [
      wrongCheck,
      data.subarray(0, -1),
      data.subarray(0, data.length / 2),
      Buffer.from('no gzip'),
    ])
      await expect(streamed(bad)).rejects.toMatchObject({ code: 'TSB_GZIP_CORRUPT' });
    const full = new Error('full');
    const sink = (): Promise<void> => Promise.reject(full);
    await expect(streamGzip(bytesSource('x', data), { sink })).rejects.toBe(full);
  });
});

describe('peekGzip', () => {
  const peek = (data: Uint8Array): Promise<Uint8Array | undefined> => peekGzip(bytesSource('x', data), 4);

  it('shows how the content begins', async () => {
    expect(await peek(gzipSync(content))).toEqual(Buffer.from(content.subarray(0, 4)));
  });

  it('shows nothing where it cannot tell', async () => {
    for (const data of [gzipSync(Buffer.alloc(3)), Buffer.from('no gzip'), gzipSync(content).subarray(0, 12)])
      expect(await peek(data)).toBeUndefined();
  });
});
