import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import { padTo4 } from '../../src/xz/block-table.js';
import { decodeXz } from '../../src/xz/decode-xz.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { decodeAll, describeEachEngine, text, xz } from '../helpers/xz.js';
import { indexField, streamOf } from '../helpers/xz-file.js';

const MiB = 1024 * 1024;
const failureOf = (data: Uint8Array, options?: Parameters<typeof decodeAll>[1]): Promise<unknown> =>
  decodeAll(data, options).then(
    () => undefined,
    (error: unknown) => error,
  );

/** The blocks of `data`, a file of one stream with CRC64, without header, index and footer. */
async function blocksOf(data: Buffer): Promise<{ bytes: Buffer; records: [number, number][] }> {
  const index = await readXzIndex(bytesSource('test.xz', data));
  const end = index.streams[0]!.compressedSize - 12 - index.streams[0]!.indexSize;
  return {
    bytes: data.subarray(12, end),
    records: [...index.blocks()].map((block) => [block.unpaddedSize, block.uncompressedSize]),
  };
}

/** Another unpadded size that takes the same room in the file. */
const samePadding = (size: number): number => (padTo4(size + 1) === padTo4(size) ? size + 1 : size - 1);

describeEachEngine('decodeXz', (engine) => {
  const content = Buffer.concat([text(300_000), Buffer.alloc(400_000), text(123_457, 5)]);

  it.each(['none', 'crc32', 'crc64', 'sha256'])('decodes blocks with check %s', async (check) => {
    const { content: decoded } = await decodeAll(xz(content, `--check=${check}`, '--block-size=100000'));
    expect(decoded.equals(content)).toBe(true);
  });

  it.each([
    ['--x86', '--lzma2'],
    ['--powerpc', '--lzma2'],
    ['--ia64', '--lzma2'],
    ['--arm', '--lzma2'],
    ['--armthumb', '--lzma2'],
    ['--sparc', '--lzma2'],
    ['--delta=dist=3', '--lzma2=dict=64KiB'],
    ['--x86', '--delta=dist=4', '--delta=dist=1', '--lzma2'],
    ['--lzma2=lc=0,lp=4,pb=0'],
    ['-9e'],
    ['-0', '-T2', '--block-size=65536'],
  ])('decodes what xz %s makes', async (...filters) => {
    const program = Buffer.concat([
      text(50_000),
      Buffer.from([...Array(3000).keys()].flatMap((n) => [0xe8, n, n >> 8, 0, 0])),
    ]);
    const { content: decoded } = await decodeAll(xz(program, ...filters));
    expect(decoded.equals(program)).toBe(true);
  });

  it('decodes any content with any block and slice size and any number of jobs', async () => {
    const run = fc.tuple(fc.nat(20_000), fc.boolean());
    await fc.assert(
      fc.asyncProperty(
        fc.array(run, { maxLength: 6 }),
        fc.record({
          block: fc.integer({ min: 1, max: 30_000 }),
          slice: fc.integer({ min: 1, max: 9000 }),
          jobs: fc.integer({ min: 1, max: 4 }),
        }),
        async (runs, { block, slice, jobs }) => {
          const data = Buffer.concat(
            runs.map(([length, zero]) => (zero ? Buffer.alloc(length) : text(length))),
          );
          const packed = xz(data, '-0', `--block-size=${Math.max(block, 2000)}`);
          const { content: decoded } = await decodeAll(packed, { jobs, sliceSize: Math.max(slice, 500) });
          expect(decoded.equals(data)).toBe(true);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('decodes streams behind each other with padding and different checks, and an empty file', async () => {
    const file = Buffer.concat([
      xz(text(5000), '--check=none'),
      Buffer.alloc(8),
      xz(Buffer.alloc(0)),
      xz(Buffer.alloc(9000), '--check=sha256'),
      xz(text(70_000, 3), '--block-size=9999', '--check=crc32'),
      Buffer.alloc(4),
    ]);
    const expected = Buffer.concat([text(5000), Buffer.alloc(9000), text(70_000, 3)]);
    expect((await decodeAll(file)).content.equals(expected)).toBe(true);
    expect((await decodeAll(xz(Buffer.alloc(0)))).content.length).toBe(0);
  });

  it('decodes one zero block of many, and reports the others whole', async () => {
    const file = xz(Buffer.alloc(16 * MiB + 1000), '--block-size=1MiB');
    const {
      content: decoded,
      zeroCalls,
      dataCalls,
    } = await decodeAll(file, { jobs: 1, sliceSize: 128 * 1024 });
    expect(decoded.every((byte) => byte === 0)).toBe(true);
    expect(dataCalls).toBe(0);
    // 8 slices of the first block, 15 equal blocks, one slice of the short last one.
    expect(zeroCalls).toBe(8 + 15 + 1);
  });

  it('does not take a damaged zero block for a known one', async () => {
    const file = xz(Buffer.alloc(4 * MiB), '--block-size=1MiB');
    const index = await readXzIndex(bytesSource('test.xz', file));
    file[index.block(2).compressedOffset + 40]! ^= 1;
    expect(await failureOf(file, { jobs: 1 })).toMatchObject({
      code: 'TSB_XZ_CORRUPT',
      details: { block: 2 },
    });
  });

  it('refuses a known zero block whose index record lies', async () => {
    const { bytes, records } = await blocksOf(xz(Buffer.alloc(3 * MiB), '--block-size=1MiB'));
    for (const lie of [
      [records[2]![0], MiB + 1],
      [records[2]![0], MiB - 1],
      [samePadding(records[2]![0]), MiB],
    ] as const) {
      const file = streamOf(bytes, indexField([records[0]!, records[1]!, lie]));
      expect(await failureOf(file, { jobs: 1 })).toMatchObject({
        code: 'TSB_XZ_CORRUPT',
        details: { block: 2 },
      });
    }
  });

  it('refuses blocks that are longer or shorter than the index says, never delivering more', async () => {
    const { bytes, records } = await blocksOf(xz(text(100_000)));
    const [unpadded] = records[0]!;
    for (const size of [0, 1, 4096, 99_999, 100_001, 2 ** 40]) {
      const source = bytesSource('lie.xz', streamOf(bytes, indexField([[unpadded, size]])));
      let delivered = 0;
      const decoding = decodeXz({
        source,
        index: await readXzIndex(source),
        jobs: 2,
        sliceSize: 4096,
        onData: (offset, data) =>
          Promise.resolve(void (delivered = Math.max(delivered, offset + data.length))),
        onZero: () => Promise.resolve(),
      });
      await expect(decoding, String(size)).rejects.toMatchObject({ code: 'TSB_XZ_CORRUPT' });
      expect(delivered).toBeLessThanOrEqual(size);
    }
  });

  it('gives an error or the right content for every flipped bit of a block', async () => {
    const data = Buffer.concat([text(600), Buffer.alloc(200)]);
    for (const check of ['crc32', 'crc64', 'sha256']) {
      const file = xz(data, `--check=${check}`);
      const block = (await readXzIndex(bytesSource('test.xz', file))).block(0);
      const header = [...Array(16).keys()];
      const sample = Array.from({ length: 30 }, (_, n) => 16 + Math.floor((n * (block.totalSize - 50)) / 30));
      const ends = Array.from({ length: 34 }, (_, n) => block.totalSize - 1 - n);
      for (const at of [...header, ...sample, ...ends]) {
        const flipped = Buffer.from(file);
        flipped[block.compressedOffset + at]! ^= 1 << (at & 7);
        const result = await decodeAll(flipped).catch((error: unknown) => error);
        if (result instanceof TsbuilderError) expect(result.code).toMatch(/^TSB_XZ_/);
        else expect(result).toMatchObject({ content: data });
      }
    }
  });

  it('refuses a check that cannot be computed instead of passing it by', async () => {
    const { bytes, records } = await blocksOf(xz(text(1000)));
    // Check 5 takes 8 bytes, like CRC64, but nobody has defined it.
    const file = streamOf(bytes, indexField(records), 5);
    expect(await failureOf(file)).toMatchObject({ code: 'TSB_XZ_UNSUPPORTED' });
  });

  it('refuses a dictionary above the limit', async () => {
    const file = xz(text(1000), '--lzma2=dict=64MiB');
    expect(await failureOf(file, { dictionaryLimit: 32 * MiB })).toMatchObject({ code: 'TSB_XZ_LIMIT' });
    expect((await decodeAll(file, { dictionaryLimit: 64 * MiB })).content.equals(text(1000))).toBe(true);
  });

  it('names file, block and offsets, stops the others, and has awaited them all', async () => {
    const file = xz(text(20 * 65536), '--block-size=65536', '-0');
    const source = bytesSource('disk.xz', file);
    const index = await readXzIndex(source);
    const { compressedOffset, totalSize } = index.block(5);
    file[compressedOffset + 3000]! ^= 0x10;
    let running = 0;
    let delivered = 0;
    const failing = decodeXz({
      source: bytesSource('disk.xz', file),
      index,
      jobs: 3,
      sliceSize: 65536,
      async onData(_, data) {
        running += 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
        delivered += data.length;
        running -= 1;
      },
      onZero: () => Promise.resolve(),
    });
    await expect(failing).rejects.toMatchObject({
      code: 'TSB_XZ_CORRUPT',
      message:
        `disk.xz: block 5 cannot be decoded: it is damaged (bytes ${compressedOffset} to ${compressedOffset + totalSize} ` +
        `of the file, 327680 to 393216 of the content)`,
    });
    expect(running).toBe(0);
    expect(delivered).toBeLessThan(20 * 65536);
  });

  it('passes on errors of the consumer and of the source', async () => {
    const file = xz(text(300_000), '--block-size=50000');
    const source = bytesSource('test.xz', file);
    const index = await readXzIndex(source);
    const broken: ByteSource = {
      ...source,
      read: () => Promise.reject(new TsbuilderError('TSB_IO', 'no disk')),
    };
    const onZero = (): Promise<void> => Promise.resolve();
    const full = (): Promise<void> => Promise.reject(new TsbuilderError('TSB_NO_SPACE', 'full'));
    await expect(decodeXz({ source, index, jobs: 2, onData: full, onZero })).rejects.toMatchObject({
      code: 'TSB_NO_SPACE',
    });
    await expect(decodeXz({ source: broken, index, jobs: 2, onData: full, onZero })).rejects.toMatchObject({
      code: 'TSB_IO',
    });
  });

  it('stops at an abort with its reason, in the middle of a block', async () => {
    const file = xz(text(4 * MiB), '-0');
    const controller = new AbortController();
    const source = bytesSource('test.xz', file);
    const reason = new TsbuilderError('TSB_INTERRUPTED', 'stop');
    let slices = 0;
    const decoding = decodeXz({
      source,
      index: await readXzIndex(source),
      jobs: 2,
      sliceSize: 65536,
      onData: () => {
        slices += 1;
        if (slices === 3) controller.abort(reason);
        return Promise.resolve();
      },
      onZero: () => Promise.resolve(),
      signal: controller.signal,
    });
    await expect(decoding).rejects.toBe(reason);
    expect(slices).toBe(3);
    await expect(failureOf(file, { signal: AbortSignal.abort(reason) })).resolves.toBe(reason);
  });

  it('reports progress that adds up to the file and to the content', async () => {
    const file = Buffer.concat([xz(content, '--block-size=70000'), Buffer.alloc(8), xz(text(100_000))]);
    const source = bytesSource('test.xz', file);
    let [packed, unpacked] = [0, 0];
    await decodeXz({
      source,
      index: await readXzIndex(source),
      jobs: 2,
      sliceSize: 10_000,
      onData: () => Promise.resolve(),
      onZero: () => Promise.resolve(),
      onProgress(compressedBytes, uncompressedBytes) {
        packed += compressedBytes;
        unpacked += uncompressedBytes;
      },
    });
    expect([packed, unpacked]).toEqual([file.length, content.length + 100_000]);
  });

  it(`is what ${engine} was asked for`, async () => {
    const { loadXzEngine } = await import('../../src/xz/engine.js');
    expect((await loadXzEngine()).name).toMatch(
      engine === 'liblzma' ? /^liblzma 5\.\S+ \(/ : /\(lzma-native\)$/,
    );
  });
});

describe('check none', () => {
  it('lets damaged data pass: the file asks for no check', async () => {
    const noise = createHash('shake256', { outputLength: 5000 }).digest();
    const file = xz(noise, '--check=none');
    file[2500]! ^= 1;
    const { content } = await decodeAll(file);
    expect(content.length).toBe(noise.length);
    expect(content.equals(noise)).toBe(false);
  });
});
