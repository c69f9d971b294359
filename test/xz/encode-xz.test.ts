import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/io/byte-source.js';
import { planJobs } from '../../src/xz/encode-jobs.js';
import { XZ_CHECKS } from '../../src/xz/encode-options.js';
import { verifyEncoded } from '../../src/xz/encode-verify.js';
import { type EncodeXzOptions, type EncodedXz, encodeXz } from '../../src/xz/encode-xz.js';
import { loadXzEngine } from '../../src/xz/engine.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { decodeAll, describeEachEngine, text } from '../helpers/xz.js';

const BLOCK = 64 * 1024;

/** Packs `data` in memory; blocks of zeros are not even looked at. */
async function encode(
  data: Buffer,
  options: Partial<EncodeXzOptions> = {},
): Promise<{ file: Buffer; encoded: EncodedXz }> {
  const pieces: Uint8Array[] = [];
  const encoded = await encodeXz({
    ...{ size: data.length, blockSize: BLOCK, preset: '0', check: 'crc64', jobs: 2 },
    fill(offset, into) {
      const part = data.subarray(offset, offset + into.length);
      if (!part.some((byte) => byte !== 0)) return Promise.resolve(false);
      into.set(part);
      return Promise.resolve(true);
    },
    write: (bytes) => Promise.resolve(void pieces.push(Uint8Array.from(bytes))),
    ...options,
  });
  return { file: Buffer.concat(pieces), encoded };
}

const MIXED = Buffer.concat([text(150_000), Buffer.alloc(300_000), randomBytes(200_000), text(5)]);

describe('encodeXz', () => {
  it.each(XZ_CHECKS)('makes files with check %s that xz accepts, with sizes in headers', async (check) => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'a.xz');
    const { file, encoded } = await encode(MIXED, { check });
    await writeFile(path, file);
    execFileSync('xz', ['-t', path]);
    const list = execFileSync('xz', ['-lvv', path]).toString();
    expect(list).toMatch(/Sizes in headers:\s+Yes/);
    expect(list).toMatch(/Blocks:\s+10\n/);
    expect(list).toContain({ none: 'None', crc32: 'CRC32', crc64: 'CRC64', sha256: 'SHA-256' }[check]);
    expect(execFileSync('xz', ['-T2', '-dc', path]).equals(MIXED)).toBe(true);
    expect(encoded).toMatchObject({ size: MIXED.length, packedSize: file.length, zeroBlocks: 3 });
  });

  it('is accepted by pixz and by the xz filter of nbdkit', async () => {
    await using folder = await scratchFolder();
    const data = Buffer.concat([MIXED, Buffer.alloc(512 - (MIXED.length % 512))]);
    const [path, copy] = [join(folder.path, 'a.xz'), join(folder.path, 'copy')];
    await writeFile(path, (await encode(data)).file);
    expect(execFileSync('pixz', ['-d'], { input: (await encode(data)).file }).equals(data)).toBe(true);
    execFileSync('nbdkit', ['-U', '-', '--filter=xz', 'file', path, '--run', `nbdcopy "$uri" "${copy}"`]);
    execFileSync('sh', ['-c', 'xz -dc "$1" | cmp - "$2"', 'sh', path, copy]);
  });

  it('depends on neither the number of jobs nor on which of them is slow', async () => {
    const files = await Promise.all([1, 2, 3, 4].map((jobs) => encode(MIXED, { jobs })));
    const slow = await encode(MIXED, {
      jobs: 3,
      async fill(offset, into) {
        await new Promise((resolve) => setTimeout(resolve, offset === 0 ? 200 : 0));
        into.set(MIXED.subarray(offset, offset + into.length));
        return true;
      },
    });
    for (const { file } of [...files, slow]) expect(file.equals(files[0]!.file)).toBe(true);
  });

  it('gives back any content', async () => {
    const piece = fc.oneof(
      fc.nat(150_000).map((length) => Buffer.alloc(length)),
      fc.nat(150_000).map((length) => text(length, length)),
      fc.nat(90_000).map((length) => randomBytes(length)),
    );
    const property = fc.asyncProperty(
      fc.array(piece, { maxLength: 5 }),
      fc.constantFrom(BLOCK, BLOCK + 1, 100_000, 1024 * 1024),
      fc.constantFrom('0', '1', '3e', '6', '9e'),
      async (pieces, blockSize, preset) => {
        const data = Buffer.concat(pieces);
        const { file, encoded } = await encode(data, { blockSize, preset });
        expect((await decodeAll(file)).content.equals(data)).toBe(true);
        await verifyEncoded(bytesSource('a.xz', file), encoded, { jobs: 2 });
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  it('is stopped by what writing throws, by an abort, and by fill', async () => {
    const full = new Error('full');
    await expect(encode(MIXED, { write: () => Promise.reject(full) })).rejects.toBe(full);
    let calls = 0;
    const third = (): Promise<void> => ((calls += 1) === 3 ? Promise.reject(full) : Promise.resolve());
    await expect(encode(MIXED, { write: third })).rejects.toBe(full);
    await expect(encode(MIXED, { fill: () => Promise.reject(full) })).rejects.toBe(full);
    const controller = new AbortController();
    const onProgress = (): void => controller.abort(full);
    await expect(encode(MIXED, { onProgress, signal: controller.signal })).rejects.toBe(full);
  });

  it.each([
    [{ preset: '10' }, '"10" is not a preset of xz'],
    [{ blockSize: 4096 }, 'a block of 4096 bytes is not between 64 KiB and 1 GiB'],
  ])('refuses %j', async (options, message) => {
    await expect(encode(MIXED, options)).rejects.toMatchObject({ code: 'TSB_USAGE', message });
  });
});

describe('verifyEncoded', () => {
  it('finds other content, however sound the file is', async () => {
    const { encoded } = await encode(MIXED);
    const swapped = Buffer.from(MIXED);
    swapped[400_000] = 1;
    const late = Buffer.from(MIXED);
    late[MIXED.length - 1]! ^= 1;
    for (const other of [swapped, late, MIXED.subarray(1), Buffer.alloc(MIXED.length)]) {
      const { file } = await encode(Buffer.from(other));
      await expect(verifyEncoded(bytesSource('a.xz', file), encoded, { jobs: 2 })).rejects.toMatchObject({
        code: 'TSB_CHECKSUM_MISMATCH',
      });
    }
  });
});

describe('planJobs', () => {
  it('takes no more jobs than memory, and one at least', async () => {
    const { encoders } = await loadXzEngine();
    const options = { preset: '6', blockSize: 16 * 1024 ** 2, wanted: 8 };
    const jobsIn = (available: number): number => planJobs(encoders!, { ...options, available }).jobs;
    expect(jobsIn(2 ** 40)).toBe(8);
    expect(jobsIn(512 * 1024 ** 2)).toBe(2);
    expect(jobsIn(400 * 1024 ** 2)).toBe(1);
    expect(jobsIn(0)).toBe(1);
    expect(planJobs(encoders!, { ...options, available: 0 }).lanes).toBe(2);
    const small = planJobs(encoders!, { ...options, preset: '9', blockSize: BLOCK }).memoryOfEach;
    expect(small).toBeLessThan(64 * 1024 ** 2);
  });
});

describeEachEngine('encodeXz', (engine) => {
  it('packs alike, or says what is missing', async () => {
    if (engine === 'lzma-native') {
      await expect(encode(MIXED)).rejects.toMatchObject({ code: 'TSB_TOOL_MISSING' });
      return;
    }
    expect((await decodeAll((await encode(MIXED)).file)).content.equals(MIXED)).toBe(true);
  });
});
