import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ByteSource } from '../../src/io/byte-source.js';
import { type XzSourceOptions, openXzSource } from '../../src/xz/xz-source.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { countingSource, describeEachEngine, text, xz } from '../helpers/xz.js';

const MiB = 1024 * 1024;

async function open(
  data: Uint8Array,
  options?: XzSourceOptions,
): Promise<{ content: ByteSource; bytesRead: () => number }> {
  const source = countingSource(data);
  return { content: openXzSource(source, await readXzIndex(source), options), bytesRead: source.bytesRead };
}

describeEachEngine('openXzSource', () => {
  it('reads any range, in any order, several at once', async () => {
    const data = Buffer.concat([text(700_000), Buffer.alloc(600_000), text(900_001, 9)]);
    const { content } = await open(xz(data, '-0', '--block-size=600000'), { cacheBytes: MiB });
    await using closing = content;
    const range = fc.tuple(fc.nat(data.length), fc.nat(300_000));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 4 }), async (ranges) => {
        const reads = ranges.map(async ([offset, wanted]) => {
          const length = Math.min(wanted, data.length - offset);
          const got = await closing.read(offset, length);
          expect(Buffer.compare(got, data.subarray(offset, offset + length))).toBe(0);
        });
        await Promise.all(reads);
      }),
      { numRuns: 20 },
    );
    expect(closing.size).toBe(data.length);
  });

  it('decodes and reads no more of a block than the start that is asked for, and goes on from there', async () => {
    const data = text(16 * MiB);
    const file = xz(data, '-0', '--block-size=16MiB');
    const { content, bytesRead } = await open(file);
    await using closing = content;
    const before = bytesRead();
    expect(Buffer.compare(await closing.read(4096, 8192), data.subarray(4096, 12288))).toBe(0);
    expect(bytesRead() - before).toBeLessThan(300_000);
    const first = bytesRead();
    await closing.read(0, 200_000);
    expect(bytesRead()).toBe(first);
    await closing.read(5 * MiB, 4096);
    await closing.read(15 * MiB, 4096);
    // Going on must not read the start again: all in all the file once.
    expect(bytesRead() - before).toBeLessThan(file.length + 100_000);
  });

  it('fails for a damaged block, and goes on serving the others', async () => {
    const data = text(400_000);
    const file = xz(data, '-0', '--block-size=100000');
    const { content } = await open(file);
    await using closing = content;
    const { compressedOffset } = (await readXzIndex(countingSource(file))).block(1);
    file[compressedOffset + 20_000]! ^= 0x40;
    await expect(closing.read(90_000, 110_000)).rejects.toMatchObject({
      code: 'TSB_XZ_CORRUPT',
      details: { block: 1 },
    });
    await expect(closing.read(90_000, 110_000)).rejects.toMatchObject({ code: 'TSB_XZ_CORRUPT' });
    expect(Buffer.compare(await closing.read(250_000, 150_000), data.subarray(250_000))).toBe(0);
  });

  it('obeys a signal and the bounds of the content', async () => {
    const { content } = await open(xz(text(1000)));
    await using closing = content;
    await expect(closing.read(0, 10, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
    await expect(closing.read(990, 11)).rejects.toThrow(RangeError);
    expect((await closing.read(1000, 0)).length).toBe(0);
    expect(Buffer.compare(await closing.read(990, 10), text(1000).subarray(990))).toBe(0);
  });
});
