import { randomBytes } from 'node:crypto';
import {
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DiskWriter } from '../../src/image/disk-writer.js';
import { type Qcow2Options, openQcow2Writer } from '../../src/image/qcow2-writer.js';
import { type TempFolder, emptyFile, run, tempFolder } from '../helpers/disk-tools.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

let folder: TempFolder;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder[Symbol.dispose]());

/** Writes an image, has `qemu-img` check it, and returns its path. */
async function image(
  size: number | undefined,
  options: Qcow2Options,
  use: (writer: DiskWriter) => Promise<unknown>,
): Promise<string> {
  const path = folder.file('disk.qcow2');
  rmSync(path, { force: true });
  await using writer = await openQcow2Writer(emptyFile(path), size, options);
  await use(writer);
  await writer.finish();
  expect(run('qemu-img', 'check', path)).toContain('No errors were found');
  return path;
}

/** The image's content as QEMU reads it. */
function content(path: string): Buffer {
  const raw = folder.file('disk.raw');
  run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', '-t', 'unsafe', path, raw);
  return readFileSync(raw);
}

/** What QEMU says of an image's header. */
function qemuInfo(path: string): Record<string, unknown> & { 'format-specific': { data: object } } {
  return JSON.parse(run('qemu-img', 'info', '--output=json', path)) as ReturnType<typeof qemuInfo>;
}

/** Bytes that compress, and are not zero. */
function pattern(length: number, seed: number): Buffer {
  return Buffer.alloc(length, `pattern ${seed} `);
}

const kinds: [string, Qcow2Options][] = [
  ['64 KiB clusters', {}],
  ['512-byte clusters', { clusterSize: 512 }],
  ['2 MiB clusters', { clusterSize: 2 * MIB }],
  ['zlib', { compress: 'zlib' }],
  ['zlib, 512-byte clusters', { compress: 'zlib', clusterSize: 512 }],
  ['zlib, 2 MiB clusters', { compress: 'zlib', clusterSize: 2 * MIB }],
  ['zstd', { compress: 'zstd' }],
  ['zstd, 4 KiB clusters', { compress: 'zstd', clusterSize: 4096 }],
];

describe.each(kinds)('qcow2: %s', (_, options) => {
  it('has the header asked for', async () => {
    const path = await image(3 * MIB, options, () => Promise.resolve());
    expect(qemuInfo(path)).toMatchObject({
      'virtual-size': 3 * MIB,
      'cluster-size': options.clusterSize ?? 65536,
      'format-specific': {
        data: { compat: '1.1', 'compression-type': options.compress ?? 'zlib', corrupt: false },
      },
    });
  });

  it('is the same when its size shows only at its end', async () => {
    for (const tail of [0, 40 * MIB]) {
      const size = 5 * MIB + 512 + tail;
      const use = async (writer: DiskWriter): Promise<void> => {
        await writer.zero(0, MIB);
        await writer.write(MIB, pattern(4 * MIB + 512, 3));
        await writer.zero(5 * MIB + 512, tail);
      };
      const known = content(await image(size, options, use));
      const grown = content(await image(undefined, options, use));
      expect(grown.equals(known)).toBe(true);
    }
  });

  it('holds all data, of a size that is no multiple of a cluster', async () => {
    const size = 5 * MIB + 512 * 3;
    const data = Buffer.concat([randomBytes(2 * MIB), pattern(size - 2 * MIB, 1)]);
    const path = await image(size, options, (writer) => writer.write(0, data));
    expect(content(path).equals(data)).toBe(true);
  });

  it('takes no space for zeros', async () => {
    const path = await image(8 * GIB - 512, options, async (writer) => {
      await writer.zero(0, 8 * GIB - 512);
      if (options.compress) await writer.write(5 * GIB, Buffer.alloc(4 * MIB));
    });
    const { l1, tables } = { l1: (8 * GIB) / ((options.clusterSize ?? 65536) ** 2 / 8), tables: 4 };
    expect(statSync(path).size).toBeLessThanOrEqual(
      l1 * 8 + (tables + 1) * (options.clusterSize ?? 65536) + 64 * KIB,
    );
    expect(run('qemu-img', 'map', '--output=json', path)).not.toContain('"data": true');
  });

  it('is what was written, in any order, at any offset, at once', async () => {
    const size = 3 * MIB + 700;
    const range = fc.record({
      offset: fc.nat(size - 1),
      length: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 400_000 })),
      kind: fc.constantFrom('random', 'pattern', 'zeros', 'zero'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(range, { maxLength: 6 }), { maxLength: 3 }), async (rounds) => {
        const model = Buffer.alloc(Math.ceil(size / 512) * 512);
        const path = await image(size, options, async (writer) => {
          // Ranges of one round are disjoint and written at once; those of a later round may overwrite them.
          for (const round of rounds)
            await Promise.all(disjoint(round, size).map((one) => apply(writer, model, one)));
        });
        expect(content(path).equals(model)).toBe(true);
      }),
      { numRuns: 5 },
    );
  });
});

interface WriteSpec {
  readonly offset: number;
  readonly length: number;
  readonly kind: string;
}

function disjoint(specs: readonly WriteSpec[], size: number): WriteSpec[] {
  const sorted = [...specs].sort((one, other) => one.offset - other.offset);
  return sorted
    .map((spec, index) => {
      const end = Math.min(size, sorted[index + 1]?.offset ?? size, spec.offset + spec.length);
      return { ...spec, length: end - spec.offset };
    })
    .filter(({ length }) => length > 0)
    .reverse();
}

async function apply(writer: DiskWriter, model: Buffer, { offset, length, kind }: WriteSpec): Promise<void> {
  const data =
    kind === 'random'
      ? randomBytes(length)
      : kind === 'pattern'
        ? pattern(length, offset)
        : Buffer.alloc(length);
  model.set(data, offset);
  await (kind === 'zero' ? writer.zero(offset, length) : writer.write(offset, data));
}

describe('openQcow2Writer', () => {
  it('makes a disk of 1 TiB with little memory and space', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const data = randomBytes(64 * KIB);
    const offsets = [0, 300 * GIB + 4096, 1024 * GIB - 64 * KIB];
    let grown = 0;
    const path = await image(1024 * GIB, {}, async (writer) => {
      await writer.zero(0, 1024 * GIB);
      for (const offset of offsets) await writer.write(offset, data);
      await writer.zero(400 * GIB, 500 * GIB);
      grown = process.memoryUsage().arrayBuffers - before;
    });
    expect(grown).toBeLessThan(8 * MIB);
    expect(statSync(path).size).toBeLessThan(2 * MIB);
    const raw = folder.file('expected.raw');
    writeFileSync(raw, '');
    truncateSync(raw, 1024 * GIB);
    const fd = openSync(raw, 'r+');
    for (const offset of offsets) writeSync(fd, data, 0, data.length, offset);
    closeSync(fd);
    expect(run('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', raw, path)).toContain('identical');
  });

  it('rounds the size up to whole sectors', async () => {
    const path = await image(1000, {}, (writer) => writer.write(0, Buffer.alloc(1000, 1)));
    expect(qemuInfo(path)['virtual-size']).toBe(1024);
    expect(content(path).equals(Buffer.alloc(1024).fill(1, 0, 1000))).toBe(true);
  });

  it('makes an empty disk', async () => {
    const path = await image(0, {}, () => Promise.resolve());
    expect(qemuInfo(path)['virtual-size']).toBe(0);
  });

  it('compresses', async () => {
    for (const compress of ['zlib', 'zstd'] as const) {
      const path = await image(8 * MIB, { compress }, (writer) => writer.write(0, pattern(8 * MIB, 3)));
      expect(statSync(path).size).toBeLessThan(MIB);
      expect(content(path).equals(pattern(8 * MIB, 3))).toBe(true);
    }
  });

  it('keeps partial clusters within bounds when compressing', async () => {
    const count = 1000;
    const before = process.memoryUsage().arrayBuffers;
    let grown = 0;
    const path = await image(count * 64 * KIB, { compress: 'zlib' }, async (writer) => {
      // The second half of each cluster comes long after its first half has been packed to make room.
      for (const start of [0, 32 * KIB]) {
        for (let cluster = 0; cluster < count; cluster += 1)
          await writer.write(cluster * 64 * KIB + start, pattern(32 * KIB, cluster));
        grown = Math.max(grown, process.memoryUsage().arrayBuffers - before);
      }
    });
    expect(grown).toBeLessThan(48 * MIB);
    const halves = Array.from({ length: count }, (_, cluster) => pattern(32 * KIB, cluster));
    expect(content(path).equals(Buffer.concat(halves.flatMap((half) => [half, half])))).toBe(true);
  });

  it.each([100, 511, 513, 1000, 4 * MIB, NaN])('refuses a cluster size of %s', async (clusterSize) => {
    await expect(openQcow2Writer(emptyFile(folder.file('x')), MIB, { clusterSize })).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
  });

  it('refuses a disk too large for its clusters, and names the limit', async () => {
    const options = { clusterSize: 512 };
    await expect(openQcow2Writer(emptyFile(folder.file('x')), 128 * GIB + 1, options)).rejects.toMatchObject({
      code: 'TSB_USAGE',
      hint: expect.stringContaining(String(128 * GIB)) as string,
    });
  });

  it('leaves no valid image when it is not finished', async () => {
    const path = emptyFile(folder.file('half.qcow2'));
    {
      await using writer = await openQcow2Writer(path, MIB);
      await writer.write(0, pattern(MIB, 1));
    }
    expect(readFileSync(path).subarray(0, 4).equals(Buffer.alloc(4))).toBe(true);
  });

  it('refuses ranges outside the disk', async () => {
    await using writer = await openQcow2Writer(emptyFile(folder.file('x')), MIB);
    await expect(writer.write(MIB - 1, Buffer.alloc(2))).rejects.toThrow(RangeError);
    await expect(writer.zero(MIB, 1)).rejects.toThrow(RangeError);
  });
});
