import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fakeExt } from '../helpers/disk-bytes.js';
import { MIB, peek, run } from '../helpers/disk.js';
import { failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { examineDisk } from '../helpers/e2e-disk.js';
import { indexText } from '../helpers/e2e-repository.js';
import { type Stage, openStage } from '../helpers/e2e-stage.js';
import {
  ROOT,
  TEMPLATE_SIZE,
  compress,
  flipBit,
  noise,
  patchedCopy,
  sha512,
} from '../helpers/e2e-template.js';

// Dozens of builds, two at a time.
vi.setConfig({ testTimeout: 180_000 });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage[Symbol.asyncDispose]());

let count = 0;

/** Serves `data` as a template and builds it; the summary of the failure, or `built` for a disk that is right. */
async function attempt(
  data: Uint8Array,
  fields: Readonly<Record<string, string | number | undefined>> = {},
  options: readonly string[] = ['--size', '+32M'],
): Promise<string> {
  await using desk = await newDesk();
  count += 1;
  const name = `case${count}`;
  const source = await stage.publish(name, data, fields);
  const outcome = await desk.run([name, ...source, ...options, '--json']);
  if (outcome.status === 0) {
    const disk = examineDisk(desk.file(`${name}.img`));
    return disk.complaints.length === 0 && disk.payloadIntact ? 'built' : 'built wrong';
  }
  const { summary } = failureOf(outcome);
  const left = await litter(desk);
  // Content that is what was signed may stay in the cache, whatever is wrong with it.
  const whole = fields['checksum[sha512]'] === undefined ? [`sha512/${sha512(data)}`] : [];
  return left.every((item) => whole.includes(item)) ? summary : `${summary}, left ${left.join(' ')}`;
}

/** How a template that holds the disk at `path` fares. */
function attemptDisk(path: string, options?: readonly string[]): Promise<string> {
  return attempt(compress(path).xz, {}, options);
}

describe('a template that is not what was signed', () => {
  it('fails by its checksum, wherever a bit was flipped', async () => {
    const { xz } = stage.template;
    const signed = { 'checksum[sha512]': stage.template.sha512 };
    const found = await inTurns([
      ...sampleBits(xz).map((at) => () => attempt(flipBit(xz, at, at % 8), signed)),
      () => attempt(Buffer.concat([xz, Buffer.alloc(4)]), signed),
    ]);
    expect(new Set(found)).toEqual(new Set(['5 TSB_CHECKSUM_MISMATCH']));
  });

  it('fails by its checksum or length when it was cut', async () => {
    const { xz } = stage.template;
    const signed = { 'checksum[sha512]': stage.template.sha512, compressed_size: xz.length };
    const cuts = [0, 11, 4096, xz.length >> 1, xz.length - 12, xz.length - 1];
    const found = await inTurns(cuts.map((length) => () => attempt(xz.subarray(0, length), signed)));
    for (const summary of found) expect(summary).toMatch(/^5 TSB_(CHECKSUM|SIZE)_MISMATCH$/);
  });
});

describe('a template that was damaged before it was signed', () => {
  it('fails by its own integrity checks, or is right', async () => {
    const { xz } = stage.template;
    const found = await inTurns([
      ...sampleBits(xz).map((at) => () => attempt(flipBit(xz, at, at % 8))),
      ...[4096, xz.length >> 1, xz.length - 12].map((length) => () => attempt(xz.subarray(0, length))),
      () => attempt(Buffer.concat([xz, Buffer.from('tail')])),
      () => attempt(Buffer.concat([xz, Buffer.alloc(2)])),
      () => attempt(Buffer.concat([xz, Buffer.alloc(8)])),
    ]);
    // Stream padding of four or eight zeros is part of the format.
    expect(found.at(-1)).toBe('built');
    for (const summary of found.slice(0, -1))
      expect(summary).toMatch(/^5 TSB_(XZ_CORRUPT|XZ_UNSUPPORTED|XZ_LIMIT|SIZE_MISMATCH)$/);
  });

  it('fails when the index lies about the size of its disk', async () => {
    const found = await inTurns([
      () => attempt(stage.template.xz, { size: TEMPLATE_SIZE + MIB }),
      () => attempt(stage.template.xz, { size: TEMPLATE_SIZE - MIB }),
      () => attempt(stage.template.xz, { compressed_size: stage.template.xz.length + 1 }),
    ]);
    // The checksum vouches for the length of the file, whatever the index says of it besides.
    expect(found).toEqual(['5 TSB_SIZE_MISMATCH', '5 TSB_SIZE_MISMATCH', 'built']);
  });
});

describe('a template that is a qcow2 image', () => {
  it('is unpacked; with a backing file it is refused', async () => {
    const qcow2 = join(stage.folder, 'template.qcow2');
    run('qemu-img', ['convert', '-O', 'qcow2', stage.template.raw, qcow2]);
    const backed = join(stage.folder, 'backed.qcow2');
    run('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      '/etc/passwd',
      '-F',
      'raw',
      backed,
      `${TEMPLATE_SIZE}`,
    ]);
    const packed = compress(qcow2).xz;
    const found = await inTurns([
      () => attempt(packed, { format: 'qcow2' }),
      () => attempt(packed, { format: undefined }),
      () => attempt(readFileSync(qcow2), { format: 'qcow2' }),
      () => attempt(compress(backed).xz, { format: 'qcow2' }),
      () => attempt(flipBit(readFileSync(qcow2), 5), { format: 'qcow2' }),
    ]);
    expect(found.slice(0, 3)).toEqual(['built', 'built', 'built']);
    expect(found[3]).toBe('5 TSB_IMAGE_INVALID');
    expect(found[4]).toMatch(/^5 TSB_(IMAGE_INVALID|SIZE_MISMATCH)$/);
  });
});

it('a template that is not packed at all is built too', async () => {
  await using desk = await newDesk();
  const checksum = sha512(readFileSync(stage.template.raw));
  const changes = { file: 'template.img', 'checksum[sha512]': checksum, compressed_size: TEMPLATE_SIZE };
  const plain = { ...stage.fields, ...changes };
  const index = join(stage.folder, 'plain.asc');
  writeFileSync(index, await stage.key.sign(indexText({ plain })));
  resultOf(await desk.run(['plain', '--source', index, '--key', stage.key.file, '--size', '+9M', '--json']));
  expect(examineDisk(desk.file('plain.img'))).toMatchObject({ complaints: [], payloadIntact: true });
});

describe('a template with a damaged partition table', () => {
  it('is built as long as one copy of the GPT is good', async () => {
    const { raw } = stage.template;
    const primary = { offset: 512, data: noise(512) };
    const backup = { offset: TEMPLATE_SIZE - 512, data: noise(512) };
    const found = await inTurns([
      () => attemptDisk(patchedCopy(raw, 'backup-only.img', primary)),
      () => attemptDisk(patchedCopy(raw, 'primary-only.img', backup)),
      () => attemptDisk(patchedCopy(raw, 'neither.img', primary, backup)),
    ]);
    expect(found.slice(0, 2)).toEqual(['built', 'built']);
    expect(found[2]).toMatch(/^8 TSB_PARTITION_TABLE$/);
  });

  it('is refused when partitions overlap or the filesystem is larger than its partition', async () => {
    const { raw } = stage.template;
    const noGpt = Buffer.alloc(33 * 512);
    const overlapping = patchedCopy(
      raw,
      'overlapping.img',
      { offset: 0, data: mbr({ start: MIB, size: 32 * MIB, type: 12 }, { ...rootInMbr, type: 0x83 }) },
      { offset: 512, data: noGpt },
      { offset: TEMPLATE_SIZE - noGpt.length, data: noGpt },
    );
    const large = patchedCopy(raw, 'large.img', {
      offset: ROOT.offset + 1024,
      data: largerExt(peek(raw, ROOT.offset + 1024, 1024)),
    });
    const fake = patchedCopy(raw, 'fake.img', {
      offset: ROOT.offset + 1024,
      data: fakeExt(ROOT.length + MIB),
    });
    const found = await inTurns([
      () => attemptDisk(overlapping),
      () => attemptDisk(large),
      () => attemptDisk(fake),
    ]);
    expect(found[0]).toMatch(/^8 TSB_PARTITION_TABLE$/);
    expect(found[1]).toMatch(/^8 TSB_FILESYSTEM$/);
    expect(found[2]).toMatch(/^8 TSB_FILESYSTEM$/);
  });
});

/** Offsets in every part of an xz file: stream header, first block's header, blocks, index, footer. */
function sampleBits(xz: Buffer): number[] {
  const indexSize = (xz.readUInt32LE(xz.length - 8) + 1) * 4;
  const index = xz.length - 12 - indexSize;
  return [
    ...[0, 6, 7, 9],
    ...[12, 13, 16],
    ...[1, 2, 3].map((part) => Math.floor((index * part) / 4)),
    ...[index, index + 1, index + 50, index + indexSize - 2],
    ...[12, 8, 4, 1].map((back) => xz.length - back),
  ];
}

const rootInMbr = { start: ROOT.offset, size: ROOT.length };

/** A master boot record with these partitions, given in bytes. */
function mbr(...partitions: readonly { start: number; size: number; type: number }[]): Buffer {
  const sector = Buffer.alloc(512);
  for (const [index, { start, size, type }] of partitions.entries()) {
    const at = 446 + 16 * index;
    sector.writeUInt8(type, at + 4);
    sector.writeUInt32LE(start / 512, at + 8);
    sector.writeUInt32LE(size / 512, at + 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** The superblock with one more MiB of blocks. Its checksum is no longer right, as it would not be in an honest accident. */
function largerExt(superblock: Buffer): Buffer {
  const copy = Buffer.from(superblock);
  const blockSize = 1024 << copy.readUInt32LE(24);
  copy.writeUInt32LE(copy.readUInt32LE(4) + MIB / blockSize, 4);
  return copy;
}
