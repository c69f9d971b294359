import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { TsbuilderError } from '../../src/errors.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { blockVerifier } from '../../src/xz/check-block-map.js';
import type { PackedBefore } from '../../src/xz/encode-reuse.js';
import { verifyEncoded } from '../../src/xz/encode-verify.js';
import { type EncodeXzOptions, type EncodedXz, encodeXz } from '../../src/xz/encode-xz.js';
import { makeBlockMap } from '../../src/xz/make-block-map.js';
import { packingName } from '../../src/xz/packing-name.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { text } from '../helpers/xz.js';

const BLOCK = 64 * 1024;
const PACKING = { blockSize: BLOCK, preset: '0', check: 'crc64' } as const;

async function pack(
  data: Buffer,
  options: Partial<EncodeXzOptions> = {},
): Promise<EncodedXz & { file: Buffer }> {
  const pieces: Uint8Array[] = [];
  const encoded = await encodeXz({
    ...{ ...PACKING, size: data.length, jobs: 2 },
    fill(offset, into) {
      data.copy(into, 0, offset, offset + into.length);
      return Promise.resolve(true);
    },
    write: (bytes) => Promise.resolve(void pieces.push(Uint8Array.from(bytes))),
    ...options,
  });
  return { ...encoded, file: Buffer.concat(pieces) };
}

/** `file` as one that was packed before, with what was told of its blocks. `trusted` is what it was when it was vouched for. */
async function before(file: Buffer, trusted = file): Promise<PackedBefore & { damage: TsbuilderError[] }> {
  const damage: TsbuilderError[] = [];
  const original = bytesSource('before.xz', trusted);
  const index = await readXzIndex(original);
  const source = bytesSource('before.xz', file);
  const verify = blockVerifier(source, await makeBlockMap(original, index));
  return { source, index, verify, damage, onDamage: (error) => void damage.push(error) };
}

const OLD = Buffer.concat([text(3 * BLOCK), Buffer.alloc(BLOCK), randomBytes(2 * BLOCK), text(100, 7)]);

it('takes over every block that is the same, and makes the file that it would make without', async () => {
  const piece = fc.record({
    kind: fc.constantFrom('same', 'same', 'zero', 'changed', 'other'),
    at: fc.nat(BLOCK - 1),
  });
  const property = fc.asyncProperty(
    fc.array(piece, { maxLength: 6 }),
    fc.nat(BLOCK),
    async (pieces, rest) => {
      const parts = pieces.map(({ kind, at }, number) => {
        const part = Buffer.alloc(BLOCK);
        OLD.copy(part, 0, number * BLOCK, (number + 1) * BLOCK);
        if (kind === 'changed') part[at]! ^= 1;
        return kind === 'zero' ? Buffer.alloc(BLOCK) : kind === 'other' ? text(BLOCK, at) : part;
      });
      const data = Buffer.concat([...parts, text(rest)]);
      const former = await before((await pack(OLD)).file);
      const found = await pack(data, { before: former });
      expect(found.file.equals((await pack(data)).file)).toBe(true);
      const same = parts.filter(
        (part, number) =>
          part.equals(OLD.subarray(number * BLOCK, (number + 1) * BLOCK)) && part.some((byte) => byte !== 0),
      );
      expect(found.reusedBlocks).toBeGreaterThanOrEqual(same.length);
      expect(found.reusedBlocks).toBeLessThanOrEqual(same.length + 1);
      expect(former.damage).toEqual([]);
      await verifyEncoded(bytesSource('a.xz', found.file), found, { jobs: 2 });
    },
  );
  await fc.assert(property, { numRuns: 15 });
});

it('counts its progress as packing does', async () => {
  const former = await before((await pack(OLD)).file);
  let done = 0;
  const onProgress = (_: number, length: number): void => void (done += length);
  const { reusedBlocks, zeroBlocks } = await pack(OLD, { before: former, onProgress });
  expect({ reusedBlocks, zeroBlocks, done }).toEqual({ reusedBlocks: 6, zeroBlocks: 1, done: OLD.length });
});

it.each([
  ['another block size', { blockSize: BLOCK * 2 }],
  ['another check', { check: 'sha256' }],
  ['a larger dictionary', { preset: '0', blockSize: 100_000 }],
] as const)('takes nothing from a file with %s', async (_, packing) => {
  const former = await before((await pack(OLD, packing)).file);
  const found = await pack(OLD, { before: former });
  expect(found.reusedBlocks).toBe(0);
  expect(found.file.equals((await pack(OLD)).file)).toBe(true);
});

it('packs a block anew that is not what is vouched for', async () => {
  const { file } = await pack(OLD);
  const damaged = Buffer.from(file);
  damaged[100]! ^= 1;
  const former = await before(damaged, file);
  const found = await pack(OLD, { before: former });
  expect(found.file.equals(file)).toBe(true);
  expect(found.reusedBlocks).toBe(5);
  expect(former.damage).toMatchObject([{ code: 'TSB_CHECKSUM_MISMATCH' }]);
});

it('packs a block anew that is vouched for and cannot be decoded', async () => {
  const { file } = await pack(OLD);
  const damaged = Buffer.from(file);
  damaged.fill(0xff, 60, 100);
  const former = await before(damaged);
  const found = await pack(OLD, { before: former });
  expect(found.file.equals(file)).toBe(true);
  expect(former.damage).toMatchObject([{ code: 'TSB_XZ_CORRUPT' }]);
});

it('stops when it is aborted while it compares', async () => {
  const controller = new AbortController();
  const former = await before((await pack(OLD)).file);
  const reason = new Error('stop');
  const read: PackedBefore['source']['read'] = (...args) => {
    controller.abort(reason);
    return former.source.read(...args);
  };
  const packing = pack(OLD, {
    before: { ...former, source: { ...former.source, read } },
    signal: controller.signal,
  });
  await expect(packing).rejects.toBe(reason);
  expect(former.damage).toEqual([]);
});

it('names everything that files of the same content differ by', async () => {
  const names = await Promise.all(
    [PACKING, { ...PACKING, preset: '0e' }, { ...PACKING, check: 'sha256' } as const].map((packing) =>
      packingName(packing),
    ),
  );
  expect(names[0]).toMatch(/^tsbuilder 1, liblzma 5\.\d+\.\d+, preset 0, blocks of 65536, crc64$/);
  expect(new Set(names).size).toBe(3);
});
