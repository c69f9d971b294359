import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { type XzIndex, type XzIndexOptions, readXzIndex, sameXzIndex } from '../../src/xz/xz-index.js';
import { checkName } from '../../src/xz/stream-flags.js';
import { countingSource, text, xz } from '../helpers/xz.js';
import { indexField, sealIndex, streamOf, streamWith } from '../helpers/xz-file.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xz-index-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const read = (data: Uint8Array, options?: XzIndexOptions): Promise<XzIndex> =>
  readXzIndex(bytesSource('test.xz', data), options);

const failure = (data: Uint8Array, options?: XzIndexOptions): Promise<unknown> =>
  read(data, options).then(
    () => undefined,
    (error: unknown) => error,
  );

/** The rows of `xz --list -vv --robot` of one kind. */
function listed(data: Uint8Array, kind: string): string[][] {
  const path = join(folder, 'listed.xz');
  writeFileSync(path, data);
  const lines = execFileSync('xz', ['--list', '-vv', '--robot', path], { encoding: 'utf8' }).split('\n');
  return lines.map((line) => line.split('\t')).filter(([first]) => first === kind);
}

const PADDING = Buffer.alloc(12);
const SAMPLES: Record<string, () => Buffer> = {
  'one block': () => xz(text(10_000)),
  'many blocks': () => xz(text(100_000), '--block-size=4096', '--check=sha256'),
  'no content': () => xz(Buffer.alloc(0)),
  'streams, empty streams and padding': () =>
    Buffer.concat([
      xz(Buffer.alloc(0), '--check=none'),
      xz(text(50_000), '--block-size=20000', '--check=crc32'),
      PADDING,
      xz(Buffer.alloc(0)),
      xz(text(70_000, 7), '--block-size=8192', '--check=crc64'),
      PADDING,
    ]),
};

describe('readXzIndex', () => {
  for (const [name, make] of Object.entries(SAMPLES)) {
    it(`agrees with xz --list: ${name}`, async () => {
      const data = make();
      const index = await read(data);
      expect(
        index.streams.map((s, number) =>
          [
            number + 1,
            s.blockCount,
            s.compressedOffset,
            s.uncompressedOffset,
            s.compressedSize,
            s.uncompressedSize,
          ].map(String),
        ),
      ).toEqual(listed(data, 'stream').map((row) => row.slice(1, 7)));
      expect(index.streams.map((s) => [checkName(s.check), String(s.padding)])).toEqual(
        listed(data, 'stream').map((row) => row.slice(8, 10)),
      );
      expect(
        [...index.blocks()].map((b) =>
          [
            b.stream + 1,
            b.number + 1,
            b.compressedOffset,
            b.uncompressedOffset,
            b.totalSize,
            b.uncompressedSize,
          ].map(String),
        ),
      ).toEqual(listed(data, 'block').map((row) => [row[1], ...row.slice(3, 8)]));
      expect(index.compressedSize).toBe(data.length);
    });
  }

  it('finds the block of every byte, past blocks and streams without content', async () => {
    const records = [
      [8, 0],
      [9, 3],
      [8, 0],
      [8, 0],
      [12, 1],
    ] as const;
    const index = await read(Buffer.concat([streamWith(records), streamWith([]), streamWith([[8, 2]])]));
    expect([0, 1, 2, 3, 4, 5].map((offset) => index.find(offset))).toEqual([1, 1, 1, 4, 5, 5]);
    expect(index.block(5).stream).toBe(2);
    for (const outside of [-1, 6, NaN]) expect(() => index.find(outside)).toThrow(RangeError);
    for (const outside of [-1, 6, NaN]) expect(() => index.block(outside)).toThrow(RangeError);
  });

  it('reads back any streams it is given', async () => {
    const record = fc.tuple(fc.integer({ min: 5, max: 3000 }), fc.integer({ min: 0, max: 2 ** 40 }));
    const stream = fc.record({ records: fc.array(record, { maxLength: 30 }), padding: fc.nat(3) });
    await fc.assert(
      fc.asyncProperty(fc.array(stream, { minLength: 1, maxLength: 5 }), async (streams) => {
        const data = Buffer.concat(
          streams.flatMap(({ records, padding }) => [streamWith(records), Buffer.alloc(padding * 4)]),
        );
        const index = await read(data);
        const all = streams.flatMap(({ records }) => records);
        expect([...index.blocks()].map((b) => [b.unpaddedSize, b.uncompressedSize])).toEqual(all);
        expect(index.streams.map(({ padding }) => padding)).toEqual(
          streams.map(({ padding }) => padding * 4),
        );
        expect(index.uncompressedSize).toBe(all.reduce((sum, [, size]) => sum + size, 0));
      }),
      { numRuns: 50 },
    );
  });

  it('reads little more than the end of a large file', async () => {
    const source = countingSource(streamWith([[4_000_000, 4_000_000]]));
    await readXzIndex(source);
    expect(source.bytesRead()).toBeLessThan(70_000);
  });

  it('refuses every flipped bit of header, index and footer', async () => {
    const data = xz(text(30_000), '--block-size=8192');
    const whole = await read(data);
    const tail = 12 + (whole.streams[0]?.indexSize ?? 0);
    const offsets = [...Array(12).keys(), ...Array.from({ length: tail }, (_, at) => data.length - 1 - at)];
    for (const offset of offsets) {
      for (let bit = 0; bit < 8; bit += 1) {
        const flipped = Buffer.from(data);
        flipped[offset] = (flipped[offset] ?? 0) ^ (1 << bit);
        const error = await failure(flipped);
        expect(error, `bit ${bit} of byte ${offset}`).toBeInstanceOf(TsbuilderError);
      }
    }
  });

  it('refuses every truncation and names the offset', async () => {
    const data = xz(text(3000), '--block-size=1000');
    for (let length = 0; length < data.length; length += 1)
      expect(await failure(data.subarray(0, length))).toMatchObject({ code: 'TSB_XZ_CORRUPT' });
    expect(await failure(data.subarray(0, -4))).toMatchObject({
      message: `test.xz: damaged xz file: no stream footer: the file is truncated or has bytes behind its end (offset ${data.length - 16})`,
    });
  });

  it('refuses bytes behind the end, padding that is no multiple of 4, and padding alone', async () => {
    const data = xz(text(1000));
    for (const extra of [Buffer.from('x'), Buffer.from('abcd'), Buffer.alloc(3), Buffer.alloc(70_001)])
      expect(await failure(Buffer.concat([data, extra]))).toMatchObject({ code: 'TSB_XZ_CORRUPT' });
    expect(await failure(Buffer.alloc(400_000))).toMatchObject({ code: 'TSB_XZ_CORRUPT' });
    expect(await failure(Buffer.concat([PADDING, data]))).toMatchObject({ code: 'TSB_XZ_CORRUPT' });
    await expect(read(Buffer.concat([data, Buffer.alloc(400_000)]))).resolves.toMatchObject({
      blockCount: 1,
    });
  });

  it('says so when a file is no xz at all', async () => {
    for (const data of [text(4096), Buffer.from('PK'), text(77)])
      expect(await failure(data)).toMatchObject({ message: 'test.xz: not an xz file' });
  });

  it('never ends otherwise than with an index or an error of its own', async () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 60 }).map((body) => streamOf(Buffer.alloc(0), sealIndex([0, ...body]))),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (data) => {
        const error = await failure(data);
        expect(error === undefined || error instanceof TsbuilderError).toBe(true);
      }),
    );
  });
});

describe('a hostile index', () => {
  const refused = async (index: Uint8Array, code: string, text: RegExp): Promise<void> => {
    const error = await failure(streamOf(Buffer.alloc(64, 1), index));
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(text);
  };

  it('that claims billions of records is refused before they are allocated', async () => {
    await refused(indexField([], 5e9), 'TSB_XZ_CORRUPT', /claims 5000000000 blocks in an index of \d+ bytes/);
  });

  it('with more records, bytes or streams than the limit is refused with both numbers and the remedy', async () => {
    const data = streamWith(Array.from({ length: 100 }, () => [8, 1] as const));
    expect(await failure(data, { maxRecords: 99 })).toMatchObject({
      code: 'TSB_XZ_LIMIT',
      message: 'test.xz: the xz index has 100 blocks, the limit is 99',
      hint: expect.stringContaining('--block-size') as string,
    });
    expect(await failure(Buffer.concat([data, data]), { maxRecords: 199 })).toMatchObject({
      code: 'TSB_XZ_LIMIT',
    });
    expect(await failure(data, { maxIndexBytes: 100 })).toMatchObject({ code: 'TSB_XZ_LIMIT' });
    expect(await failure(Buffer.concat([data, data]), { maxStreams: 1 })).toMatchObject({
      code: 'TSB_XZ_LIMIT',
    });
    await expect(read(data, { maxRecords: 100 })).resolves.toMatchObject({ blockCount: 100 });
  });

  it('whose footer claims gigabytes of index is refused without reading them', async () => {
    const data = streamWith([[64, 1]]);
    const huge = Buffer.concat([
      data.subarray(0, -12),
      streamOf(Buffer.alloc(0), Buffer.alloc(2 ** 20)).subarray(-12),
    ]);
    expect(await failure(huge)).toMatchObject({ code: 'TSB_XZ_CORRUPT' });
  });

  it('with impossible sizes is refused', async () => {
    await refused(indexField([[4, 1]]), 'TSB_XZ_CORRUPT', /a block of 4 bytes/);
    await refused(
      indexField([
        [68, 1],
        [8, 1],
      ]),
      'TSB_XZ_CORRUPT',
      /blocks that take 76 bytes/,
    );
    await refused(indexField([[60, 1]]), 'TSB_XZ_CORRUPT', /no stream header/);
    await refused(
      indexField([
        [64, Number.MAX_SAFE_INTEGER],
        [8, 1],
      ]),
      'TSB_XZ_LIMIT',
      /add up to more/,
    );
    await refused(sealIndex([0, 1, ...Array<number>(8).fill(0xff), 0x7f, 1]), 'TSB_XZ_LIMIT', /above/);
  });

  it('with bytes left over or other padding is refused', async () => {
    await refused(sealIndex([0, 1, 64, 0x80, 1, 1]), 'TSB_XZ_CORRUPT', /padding that is not zero/);
    await refused(sealIndex([0, 1, 64, 1, 0, 0, 0, 0, 0]), 'TSB_XZ_CORRUPT', /left over/);
  });
});

describe('sameXzIndex', () => {
  it('tells files with other sizes, checks or blocks apart', async () => {
    const records = [
      [64, 100],
      [64, 50],
    ] as const;
    const base = await read(streamWith(records));
    const others = [
      streamWith(records, 1),
      streamWith([
        [64, 50],
        [64, 100],
      ]),
      streamWith([
        [63, 100],
        [64, 50],
      ]),
      streamWith([[128, 150]]),
      Buffer.concat([streamWith(records), PADDING]),
    ];
    expect(sameXzIndex(base, base)).toBe(true);
    expect(sameXzIndex(base, await read(streamWith(records)))).toBe(true);
    for (const other of others) expect(sameXzIndex(base, await read(other))).toBe(false);
  });
});
