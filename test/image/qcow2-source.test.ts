import { randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Extent } from '../../src/image/extents.js';
import { isQcow2, readQcow2Info } from '../../src/image/qcow2-info.js';
import { type Qcow2Source, countQcow2Clusters, openQcow2Source } from '../../src/image/qcow2-source.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { openFileSource } from '../../src/io/file-source.js';
import { type TempFolder, run, tempFolder } from '../helpers/disk-tools.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 6 * MIB + 512;

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder[Symbol.dispose]());

/** A raw disk with holes, zeros, random and repetitive data; and QEMU's qcow2 of it. */
function qemuImage(...options: string[]): { raw: Buffer; path: string } {
  const raw = Buffer.alloc(SIZE);
  randomBytes(700 * KIB).copy(raw, 100 * KIB);
  raw.fill('some text ', 2 * MIB, 4 * MIB + 5000);
  raw.fill(9, SIZE - 100);
  writeFileSync(folder.file('raw'), raw);
  const path = folder.file('qcow2');
  run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', ...options, folder.file('raw'), path);
  return { raw, path };
}

const variants: [string, string[]][] = [
  ['default', []],
  ['version 2', ['-o', 'compat=0.10']],
  ['512-byte clusters', ['-o', 'cluster_size=512']],
  ['2 MiB clusters', ['-o', 'cluster_size=2M']],
  ['zlib', ['-c']],
  ['zlib, 4 KiB clusters', ['-c', '-o', 'cluster_size=4k']],
  ['zstd', ['-c', '-o', 'compression_type=zstd']],
  ['preallocated', ['-o', 'preallocation=metadata']],
];

describe.each(variants)('an image made by qemu-img: %s', (name, options) => {
  it('is read at any place', async () => {
    const { raw, path } = qemuImage(...options);
    await using file = await openFileSource(path);
    await using disk = await openQcow2Source(file);
    expect(disk.size).toBe(SIZE);
    expect(raw.equals(await disk.read(0, SIZE))).toBe(true);
    await fc.assert(
      fc.asyncProperty(fc.nat(SIZE - 1), fc.nat(300_000), async (offset, wanted) => {
        const length = Math.min(wanted, SIZE - offset);
        expect(raw.subarray(offset, offset + length).equals(await disk.read(offset, length))).toBe(true);
      }),
      { numRuns: 20 },
    );
    await expect(disk.read(SIZE, 1)).rejects.toThrow(RangeError);
  });

  it('has extents that cover it, the holes being zero', async () => {
    const { raw, path } = qemuImage(...options);
    await using file = await openFileSource(path);
    await using disk = await openQcow2Source(file);
    let at = 0;
    const kinds = new Set<boolean>();
    for await (const { offset, length, data } of disk.extents()) {
      expect(offset).toBe(at);
      at += length;
      kinds.add(data);
      if (!data) expect(raw.subarray(offset, offset + length).equals(Buffer.alloc(length))).toBe(true);
    }
    expect(at).toBe(SIZE);
    if (name !== 'preallocated') expect(kinds.size).toBe(name === '2 MiB clusters' ? 1 : 2);
  });

  it('has as many clusters as qemu-img counts', async () => {
    const { path } = qemuImage(...options);
    const check = JSON.parse(run('qemu-img', 'check', '--output=json', path)) as Record<string, number>;
    await using file = await openFileSource(path);
    const { plainClusters, packedClusters, complete } = await countQcow2Clusters(file);
    expect(complete).toBe(true);
    expect(plainClusters + packedClusters).toBe(check['allocated-clusters']);
    expect(packedClusters).toBe(check['compressed-clusters'] ?? 0);
  });
});

describe('an image that is cut off', () => {
  it.each([
    ...variants,
    ['1-bit reference counts', ['-o', 'refcount_bits=1']],
    ['64-bit reference counts', ['-o', 'refcount_bits=64,cluster_size=4k']],
  ])('lacks what has been cut off, and no zeros are made up for it: %s', async (_, options) => {
    const { raw, path } = qemuImage(...options);
    const whole = readFileSync(path);
    const open = (length: number): Promise<Qcow2Source> =>
      openQcow2Source(bytesSource('cut', whole.subarray(0, length)));
    const complete = await open(whole.length);
    expect(await complete.missingBytes()).toBe(0);
    const { info } = complete;
    const end = Math.ceil(whole.length / info.clusterSize) * info.clusterSize;
    const shortest = info.l1Offset + info.l1Entries * 8;
    let failures = 0;
    for (let length = end - info.clusterSize; length >= shortest; length -= Math.ceil(end / 13)) {
      const disk = await open(length);
      const missing = await disk.missingBytes();
      expect(missing).toBeGreaterThan(0);
      expect(missing).toBeLessThanOrEqual(end - length);
      for (let at = 0; at < SIZE; at += 64 * KIB) {
        const expected = raw.subarray(at, Math.min(SIZE, at + 64 * KIB));
        const found = await disk.read(at, expected.length).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'TSB_IMAGE_INVALID' });
          failures += 1;
          return expected;
        });
        expect(expected.equals(found)).toBe(true);
      }
    }
    expect(failures).toBeGreaterThan(0);
  });
});

describe('readQcow2Info', () => {
  it('tells what the header says', async () => {
    const { path } = qemuImage('-c', '-o', 'compression_type=zstd,cluster_size=32k');
    await using file = await openFileSource(path);
    expect(await readQcow2Info(file)).toMatchObject({
      version: 3,
      virtualSize: SIZE,
      clusterSize: 32 * KIB,
      compression: 'zstd',
      backingFile: undefined,
      encrypted: false,
      snapshots: 0,
      dirty: false,
    });
  });

  it.each([
    ['a backing file', ['-b', '/etc/shadow', '-F', 'raw', '-u'], { backingFile: '/etc/shadow' }],
    ['external data', ['-o', 'data_file=data.raw'], { externalData: true }],
    ['subclusters', ['-o', 'extended_l2=on'], { extendedL2: true }],
  ])('knows %s, and such an image is not opened', async (_, options, expected) => {
    const path = folder.file('image.qcow2');
    // qemu-img makes the data file at once, and a bare name would be in the working folder.
    const placed = options.map((option) => option.replace('data.raw', folder.file('data.raw')));
    run('qemu-img', 'create', '-q', '-f', 'qcow2', ...placed, path, '10M');
    await using file = await openFileSource(path);
    expect(await readQcow2Info(file)).toMatchObject(expected);
    await expect(openQcow2Source(file)).rejects.toMatchObject({ code: 'TSB_IMAGE_INVALID' });
  });

  it('recognises the first bytes', () => {
    expect(isQcow2(Buffer.from('QFI\xfb', 'latin1'))).toBe(true);
    expect(isQcow2(Buffer.from('QFI'))).toBe(false);
    expect(isQcow2(Buffer.alloc(512))).toBe(false);
  });
});

describe('hostile images', () => {
  /** A small image with a number in its header changed. */
  function patched(offset: number, value: bigint, width: 4 | 8): Buffer {
    const image = Buffer.from(readFileSync(qemuImage().path));
    if (width === 4) image.writeUInt32BE(Number(value), offset);
    else image.writeBigUInt64BE(value, offset);
    return image;
  }
  const open = (image: Uint8Array): Promise<unknown> => openQcow2Source(bytesSource('hostile', image));

  it.each<[string, number, bigint, 4 | 8]>([
    ['version 1', 4, 1n, 4],
    ['version 4', 4, 4n, 4],
    ['clusters of 256 bytes', 20, 8n, 4],
    ['clusters of 2^31 bytes', 20, 31n, 4],
    ['a virtual size beyond 2^53', 24, 2n ** 63n, 8],
    ['a virtual size that its L1 table does not cover', 24, 2n ** 50n, 8],
    ['encryption', 32, 2n, 4],
    ['4 billion L1 entries', 36, 0xffffffffn, 4],
    ['no L1 entries', 36, 0n, 4],
    ['an L1 table outside the file', 40, 2n ** 40n, 8],
    ['an L1 table at a crooked place', 40, 513n, 8],
    ['a backing file name outside the file', 8, 2n ** 45n, 8],
    ['unknown features', 72, 1n << 40n, 8],
    ['the corrupt bit', 72, 2n, 8],
    ['an unknown compression type', 72, 8n, 8],
    ['reference counts of 128 bits', 96, 7n, 4],
  ])('%s is refused', async (_, offset, value, width) => {
    await expect(open(patched(offset, value, width))).rejects.toMatchObject({ code: 'TSB_IMAGE_INVALID' });
  });

  it('too short to have a header is refused', async () => {
    const image = readFileSync(qemuImage().path);
    for (const length of [0, 3, 4, 71, 103])
      await expect(open(image.subarray(0, length))).rejects.toMatchObject({ code: 'TSB_IMAGE_INVALID' });
  });

  it('with any bits flipped gives an error of its own class or some bytes, never more', async () => {
    const { path } = qemuImage('-c', '-o', 'cluster_size=4k');
    const good = readFileSync(path);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(good.length * 8 - 1), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (bits, early) => {
          const image = Buffer.from(good);
          for (const bit of bits) {
            const at = early ? bit % (24 * KIB * 8) : bit;
            image[at >> 3]! ^= 1 << (at & 7);
          }
          try {
            await using disk = await openQcow2Source(bytesSource('flipped', image));
            const length = Math.min(disk.size, 8 * MIB);
            expect(await disk.read(0, length)).toHaveLength(length);
          } catch (error) {
            expect(error).toMatchObject({
              code: expect.stringMatching(/^TSB_(IMAGE_INVALID|TOOL_MISSING)$/) as string,
            });
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('of a huge virtual size is walked without reading what is not there', async () => {
    const path = folder.file('huge.qcow2');
    run('qemu-img', 'create', '-q', '-f', 'qcow2', path, '60T');
    await using file = await openFileSource(path);
    await using disk = await openQcow2Source(file);
    const extents: Extent[] = [];
    for await (const extent of disk.extents()) extents.push(extent);
    expect(extents).toEqual([{ offset: 0, length: 60 * 1024 ** 4, data: false }]);
  });

  it('that cuts off its last cluster reads zeros there', async () => {
    const { raw, path } = qemuImage('-o', 'cluster_size=2M');
    const whole = readFileSync(path);
    truncateSync(path, whole.length - MIB);
    await using file = await openFileSource(path);
    await using disk = await openQcow2Source(file);
    expect(raw.equals(await disk.read(0, SIZE))).toBe(true);
  });
});
