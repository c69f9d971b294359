import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { type BlockMap, formatBlockMap, parseBlockMap } from '../../src/xz/block-map.js';
import { blockVerifier, findDamage, readVerifiedIndex } from '../../src/xz/check-block-map.js';
import { makeBlockMap } from '../../src/xz/make-block-map.js';
import { readXzIndex, sameXzIndex } from '../../src/xz/xz-index.js';
import { text, xz } from '../helpers/xz.js';

const KIB = 1024;

/** Three streams: four blocks, none, and one, with stream padding between and behind them. */
function threeStreams(): Buffer {
  const first = xz(Buffer.concat([text(150 * KIB), Buffer.alloc(100 * KIB)]), '--block-size=65536', '-T2');
  return Buffer.concat([
    first,
    Buffer.alloc(8),
    xz(Buffer.alloc(0)),
    xz(text(10 * KIB, 7), '--check=sha256'),
    Buffer.alloc(4),
  ]);
}

async function mapOf(file: Uint8Array): Promise<BlockMap> {
  const source = bytesSource('t.xz', file);
  return makeBlockMap(source, await readXzIndex(source));
}

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const parse = (content: string): BlockMap => parseBlockMap(Buffer.from(content), 't.blocks');

function flipped(file: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(file);
  copy[at]! ^= 1;
  return copy;
}

describe('makeBlockMap', () => {
  it('covers every byte of a file of several streams once, with the right checksums', async () => {
    const file = threeStreams();
    const map = await mapOf(file);
    expect(map.ranges.map(({ kind }) => kind).join(' ')).toBe('edge block block block block edge block edge');
    let covered = 0;
    for (const { offset, length, sha256: hash } of map.ranges) {
      expect(offset).toBe(covered);
      expect(hash).toBe(sha256(file.subarray(offset, offset + length)));
      covered += length;
    }
    expect([covered, map.size]).toEqual([file.length, file.length]);
    expect(map.sha512).toBe(createHash('sha512').update(file).digest('hex'));
  });

  it('makes the map of a file without blocks', async () => {
    const map = await mapOf(xz(Buffer.alloc(0)));
    expect(map.ranges.map(({ kind, length }) => [kind, length])).toEqual([['edge', 32]]);
    expect(parse(formatBlockMap(map))).toEqual(map);
  });
});

describe('parseBlockMap', () => {
  it('reads what formatBlockMap has written', async () => {
    const map = await mapOf(threeStreams());
    expect(parse(formatBlockMap(map))).toEqual(map);
  });

  it('accepts only the one text of a map, whatever is done to it', async () => {
    const good = formatBlockMap(await mapOf(xz(text(100 * KIB), '--block-size=65536')));
    const edits = fc.tuple(
      fc.nat(good.length - 1),
      fc.nat(3),
      fc.constantFrom('', '0', '4', 'f', ' ', '\n', '\r\n', '\t', '\0', 'edge', 'block', '-', '٣'),
    );
    fc.assert(
      fc.property(edits, ([at, cut, insert]) => {
        const edited = good.slice(0, at) + insert + good.slice(at + cut);
        const data = Buffer.from(edited);
        let map: BlockMap;
        try {
          map = parseBlockMap(data, 't.blocks');
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_BLOCK_MAP_INVALID' });
          return;
        }
        expect(formatBlockMap(map)).toBe(edited);
      }),
      { numRuns: 500 },
    );
  });

  const HASH = 'a'.repeat(64);
  const map = (size: number, ...ranges: string[]): string =>
    ['tsbuilder block map 1', `size ${size}`, `sha512 ${'0'.repeat(128)}`, ...ranges, ''].join('\n');

  it.each([
    ['nothing', '', /line 1/],
    ['another file', 'hello\n', /line 1/],
    ['a later version', map(32).replace('map 1', 'map 2'), /version 2/],
    ['a size of zero', map(0), /line 2/],
    ['a size that is no safe integer', map(32).replace('32', '9999999999999999'), /line 2/],
    ['a short checksum', map(32).replace('00000\n', '\n'), /line 3/],
    ['no ranges', map(32), /0 of the 32 bytes/],
    ['too few bytes', map(64, `edge 32 ${HASH}`), /32 of the 64 bytes/],
    ['too many bytes', map(16, `edge 32 ${HASH}`), /beyond the 16 bytes/],
    ['a length that is no multiple of 4', map(33, `edge 33 ${HASH}`), /has 33 bytes/],
    ['a tiny edge', map(8, `edge 8 ${HASH}`), /has 8 bytes/],
    ['two edges', map(64, `edge 32 ${HASH}`, `edge 32 ${HASH}`), /line 5: two edges/],
    ['a block first', map(40, `block 20 ${HASH}`, `edge 20 ${HASH}`), /begins and ends/],
    ['a block last', map(40, `edge 20 ${HASH}`, `block 20 ${HASH}`), /begins and ends/],
    ['capital digits', map(32, `edge 32 ${'A'.repeat(64)}`), /line 4/],
    ['no newline at the end', map(32, `edge 32 ${HASH}`).trimEnd(), /no newline/],
    ['an empty line', `${map(32, `edge 32 ${HASH}`)}\n`, /line 5/],
    ['CRLF', map(32, `edge 32 ${HASH}`).replaceAll('\n', '\r\n'), /line 1/],
  ])('refuses %s', (_, content, message) => {
    expect(() => parse(content)).toThrow(
      expect.objectContaining({
        code: 'TSB_BLOCK_MAP_INVALID',
        message: expect.stringMatching(message) as string,
      }),
    );
  });

  it('refuses a map that is too long before it reads it', () => {
    expect(() => parseBlockMap(Buffer.alloc(16 * 1024 * KIB + 1, 'x'), 't.blocks')).toThrow(
      /at most 16777216/,
    );
  });
});

describe('readVerifiedIndex', () => {
  it('reads the same index as without a map, and only what is between the blocks', async () => {
    const file = threeStreams();
    const map = await mapOf(file);
    const inner = bytesSource('t.xz', file);
    const read: number[][] = [];
    const source = {
      ...inner,
      read: (offset: number, length: number) => {
        read.push([offset, length]);
        return inner.read(offset, length);
      },
    };
    const index = await readVerifiedIndex(source, map);
    expect(sameXzIndex(index, await readXzIndex(inner))).toBe(true);
    expect(read).toEqual(
      map.ranges.filter(({ kind }) => kind === 'edge').map(({ offset, length }) => [offset, length]),
    );
  });

  it('refuses a file in which any byte outside the blocks has changed', async () => {
    const file = threeStreams();
    const map = await mapOf(file);
    for (const { kind, offset, length } of map.ranges) {
      if (kind !== 'edge') continue;
      for (const at of [offset, offset + length - 1]) {
        const damaged = bytesSource('t.xz', flipped(file, at));
        await expect(readVerifiedIndex(damaged, map)).rejects.toMatchObject({
          code: 'TSB_CHECKSUM_MISMATCH',
          details: { offset, length },
        });
      }
    }
  });

  it('refuses a file of another length', async () => {
    const file = threeStreams();
    const map = await mapOf(file);
    await expect(readVerifiedIndex(bytesSource('t.xz', file.subarray(4)), map)).rejects.toMatchObject({
      code: 'TSB_SIZE_MISMATCH',
    });
  });

  it('refuses a map that divides the file otherwise than its index does', async () => {
    const file = xz(text(100 * KIB), '--block-size=65536', '-T2');
    const [header, first, second, footer] = (await mapOf(file)).ranges;
    const length = first!.length + second!.length;
    const joined = { ...first!, length, sha256: sha256(file.subarray(12, 12 + length)) };
    const map = { ...(await mapOf(file)), ranges: [header!, joined, footer!] };
    await expect(readVerifiedIndex(bytesSource('t.xz', file), map)).rejects.toMatchObject({
      code: 'TSB_BLOCK_MAP_INVALID',
      message: expect.stringContaining('from byte 12 on') as string,
    });
  });
});

describe('blockVerifier', () => {
  it('knows each block, as a whole or in pieces, and names the one that is wrong', async () => {
    const file = threeStreams();
    const map = await mapOf(file);
    const verifier = blockVerifier({ name: 't.xz' }, map);
    const blocks = map.ranges.filter(({ kind }) => kind === 'block');
    for (const [number, { offset, length }] of blocks.entries()) {
      const data = file.subarray(offset, offset + length);
      verifier.check(number, data);
      const details = expect.objectContaining({ block: number, offset, length }) as object;
      expect(() => verifier.check(number, flipped(data, length - 1))).toThrow(
        expect.objectContaining({ code: 'TSB_CHECKSUM_MISMATCH', details }),
      );
      expect(() => verifier.check(number, data.subarray(1))).toThrow(`block ${number} (bytes ${offset}-`);
      const check = verifier.begin(number);
      check.update(data.subarray(0, 5));
      check.update(data.subarray(5));
      check.finish();
    }
    expect(() => verifier.check(blocks.length, Buffer.alloc(1))).toThrow(RangeError);
  });
});

describe('findDamage', () => {
  it('finds nothing in a good file, and what has changed or is missing in another', async () => {
    const file = threeStreams();
    const map = await mapOf(file);
    const labels = async (data: Uint8Array): Promise<string[]> => {
      const found: string[] = [];
      for await (const { label } of findDamage(bytesSource('t.xz', data), map)) found.push(label);
      return found;
    };
    expect(await labels(file)).toEqual([]);
    const [, , second, , , edge, last] = map.ranges;
    const damaged = flipped(flipped(file, second!.offset), edge!.offset);
    expect(await labels(damaged)).toEqual([
      `block 1 (bytes ${second!.offset}-${second!.offset + second!.length - 1})`,
      expect.stringMatching(/^the header, index or footer of a stream \(bytes \d+-\d+\)$/),
    ]);
    expect(await labels(file.subarray(0, last!.offset))).toHaveLength(2);
  });
});
