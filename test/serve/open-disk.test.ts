import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DiskSource } from '../../src/io/disk-source.js';
import { newCounters } from '../../src/io/counters.js';
import { type ServedDisk, type ServedFormat, openServedDisk } from '../../src/serve/open-disk.js';
import { KIB, MIB, makeDisk, patch, peek, run } from '../helpers/disk.js';
import { type TestServer, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { servedOptions } from '../helpers/served-disk.js';
import { text, xz } from '../helpers/xz.js';
import { cutIntoFrames, seekTable } from '../helpers/zstd-file.js';

const SIZE = 6 * MIB + 512;
/** Data with holes in front, between and behind. */
const DATA = [
  { offset: MIB, data: text(700 * KIB) },
  { offset: 3 * MIB + 64 * KIB, data: text(1500 * KIB, 5) },
];

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let server: TestServer;
let raw: Buffer;
const file = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  folder = await scratchFolder();
  await writeFile(file('disk.img'), '');
  await truncate(file('disk.img'), SIZE);
  for (const { offset, data } of DATA) patch(file('disk.img'), offset, data);
  raw = await readFile(file('disk.img'));
  await writeFile(file('disk.img.xz'), xz(raw, '-T2', '-0', '--block-size=1MiB'));
  await writeFile(file('huge.xz'), xz(raw, '-0'));
  await writeFile(file('disk.img.gz'), gzipSync(raw));
  run('zstd', ['-q', file('disk.img'), '-o', file('disk.img.zst')]);
  const convert = (name: string, ...args: string[]): string =>
    run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...args, file('disk.img'), file(name)]);
  convert('disk.qcow2');
  convert('packed.qcow2', '-c');
  await writeFile(file('disk.qcow2.xz'), xz(await readFile(file('disk.qcow2')), '-0'));
  await writeFile(file('disk.qcow2.gz'), gzipSync(await readFile(file('disk.qcow2'))));
});
afterAll(() => folder[Symbol.asyncDispose]());

beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server[Symbol.asyncDispose]());

/** Whether random and whole reads of `disk` are those of the raw disk, as far as its own size goes. */
async function expectSame(disk: DiskSource, content: Buffer = raw): Promise<void> {
  expect(disk.size).toBe(content.length);
  await fc.assert(
    fc.asyncProperty(fc.nat(content.length), fc.nat(300_000), async (offset, count) => {
      const length = Math.min(count, content.length - offset);
      expect(content.subarray(offset, offset + length).equals(await disk.read(offset, length))).toBe(true);
    }),
    { numRuns: 25 },
  );
  expect(content.equals(await disk.read(0, disk.size))).toBe(true);
}

/** All extents of `disk`, as they come in answers to questions for the whole rest. */
async function allExtents(disk: DiskSource): Promise<{ offset: number; length: number; zero: boolean }[]> {
  const all: { offset: number; length: number; zero: boolean }[] = [];
  for (let at = 0; at < disk.size;) {
    for (const { offset, length, kind } of await disk.extents(at, disk.size - at)) {
      expect(offset).toBe(at);
      expect(length).toBeGreaterThan(0);
      at += length;
      const last = all.at(-1);
      const zero = kind !== 'data';
      if (last?.zero === zero) last.length += length;
      else all.push({ offset, length, zero });
    }
  }
  return all;
}

/** What qemu-img says about a local image, neighbours joined. */
function qemuMap(path: string, format: string): { offset: number; length: number; zero: boolean }[] {
  const output = execFileSync('qemu-img', ['map', '-f', format, '--output=json', path], { encoding: 'utf8' });
  const all: { offset: number; length: number; zero: boolean }[] = [];
  for (const { start, length, zero } of JSON.parse(output) as {
    start: number;
    length: number;
    zero: boolean;
  }[]) {
    const last = all.at(-1);
    if (last?.zero === zero) last.length += length;
    else all.push({ offset: start, length, zero });
  }
  return all;
}

const NOTHING = 'nothing protects the data';
const FORMATS: readonly (readonly [string, ServedFormat, string])[] = [
  ['disk.img', 'raw', NOTHING],
  ['disk.img.xz', 'xz', 'only the integrity checks inside the xz file (CRC64) protect the data'],
  ['disk.img.gz', 'gzip', 'only the integrity check inside the gzip file (CRC32) protects the data'],
  [
    'disk.img.zst',
    'zstd',
    'only the integrity checks inside the zstd file protect the data, where it has any',
  ],
  ['disk.qcow2', 'qcow2', NOTHING],
  ['packed.qcow2', 'qcow2', NOTHING],
  ['disk.qcow2.xz', 'xz', 'only the integrity checks inside the xz file (CRC64) protect the data'],
  ['disk.qcow2.gz', 'gzip', 'only the integrity check inside the gzip file (CRC32) protects the data'],
];

/** qcow2 disks are made of whole sectors; ours is. */
describe.each(FORMATS)('%s', (name, format, protection) => {
  it('has the content of the raw disk, and says what protects it', async () => {
    await using disk = await openServedDisk(file(name), servedOptions());
    expect(disk).toMatchObject({ name: file(name), format, protection });
    await expectSame(disk);
  });

  it('has it over HTTP too, and as a file URL', async () => {
    server.files['/image'] = { data: await readFile(file(name)) };
    const counters = newCounters();
    await using remote = await openServedDisk(`${server.url}/image`, servedOptions({ counters }));
    expect(remote).toMatchObject({ format, protection });
    await expectSame(remote);
    expect(counters.bytesFetched).toBeGreaterThan(0);
    expect(counters.httpRequests).toBe(server.requests.length);
    await using local = await openServedDisk(pathToFileURL(file(name)).href, servedOptions());
    await expectSame(local);
  });

  it('tells zeros only where there are zeros', async () => {
    await using disk = await openServedDisk(file(name), servedOptions());
    await disk.read(0, disk.size);
    const extents = await allExtents(disk);
    expect(extents.some(({ zero }) => zero)).toBe(true);
    for (const { offset, length, zero } of extents)
      if (zero) expect(raw.subarray(offset, offset + length).every((byte) => byte === 0)).toBe(true);
  });
});

describe('extents', () => {
  it.each([
    ['disk.img', 'raw'],
    ['disk.qcow2', 'qcow2'],
    ['packed.qcow2', 'qcow2'],
  ])('of %s are those that qemu-img sees, without anything read', async (name, format) => {
    const counters = newCounters();
    await using disk = await openServedDisk(file(name), servedOptions({ counters }));
    const before = counters.bytesFetched;
    expect(await allExtents(disk)).toEqual(qemuMap(file(name), format));
    // Tables of a qcow2 image: at most one of 64 KiB here.
    expect(counters.bytesFetched - before).toBeLessThanOrEqual(64 * KIB);
  });

  it.each(['disk.img', 'disk.qcow2'])('of a part of %s begin and end inside it', async (name) => {
    await using disk = await openServedDisk(file(name), servedOptions());
    await fc.assert(
      fc.asyncProperty(fc.nat(SIZE - 1), fc.integer({ min: 1, max: SIZE }), async (offset, count) => {
        const length = Math.min(count, SIZE - offset);
        const extents = await disk.extents(offset, length);
        expect(extents[0]?.offset).toBe(offset);
        let at = offset;
        for (const extent of extents) {
          expect(extent.offset).toBe(at);
          at += extent.length;
        }
        expect(at).toBeLessThanOrEqual(offset + length);
      }),
      { numRuns: 50 },
    );
  });

  it('of a terabyte of nothing come at once', async () => {
    run('qemu-img', ['create', '-q', '-f', 'qcow2', file('vast.qcow2'), '1T']);
    await using disk = await openServedDisk(file('vast.qcow2'), servedOptions());
    expect(await disk.extents(0, disk.size)).toEqual([{ offset: 0, length: 2 ** 40, kind: 'hole' }]);
  });
});

describe('format', () => {
  it('serves a file as it is when told that it is raw', async () => {
    const content = await readFile(file('disk.img.xz'));
    await using disk = await openServedDisk(file('disk.img.xz'), servedOptions({ format: 'raw' }));
    expect(disk).toMatchObject({ format: 'raw', protection: NOTHING });
    await expectSame(disk, content);
  });

  it('does not look for an image inside when told that a file is xz', async () => {
    const content = await readFile(file('disk.qcow2'));
    await using disk = await openServedDisk(file('disk.qcow2.xz'), servedOptions({ format: 'xz' }));
    await expectSame(disk, content);
  });

  it('says when a file is not of the format it should be of', async () => {
    await expect(openServedDisk(file('disk.img'), servedOptions({ format: 'xz' }))).rejects.toMatchObject({
      code: 'TSB_XZ_CORRUPT',
    });
    await expect(openServedDisk(file('disk.img'), servedOptions({ format: 'qcow2' }))).rejects.toMatchObject({
      code: 'TSB_IMAGE_INVALID',
    });
  });
});

describe('what protects an xz file', () => {
  it.each([
    ['none', `${NOTHING}: the xz file has no integrity checks`],
    ['sha256', 'only the integrity checks inside the xz file (SHA-256) protect the data'],
  ])('with --check=%s', async (check, protection) => {
    await writeFile(file('check.xz'), xz(text(KIB), `--check=${check}`));
    await using disk = await openServedDisk(file('check.xz'), servedOptions());
    expect(disk.protection).toBe(protection);
  });

  it('says that parts of a file have no checks', async () => {
    await writeFile(
      file('check.xz'),
      Buffer.concat([xz(text(KIB), '--check=none'), xz(text(KIB)), xz(text(KIB), '--check=crc32')]),
    );
    await using disk = await openServedDisk(file('check.xz'), servedOptions());
    expect(disk.protection).toBe(
      'only the integrity checks inside the xz file (CRC64, CRC32) protect the data, and parts of it have none',
    );
  });
});

describe('xz with one huge block', () => {
  it('is unpacked into a temporary file once, with a warning that says what to do', async () => {
    const warnings: string[] = [];
    const counters = newCounters();
    const options = servedOptions({ cacheBytes: 2 * MIB, counters }, warnings);
    await using disk = await openServedDisk(file('huge.xz'), options);
    await expectSame(disk);
    expect(warnings).toEqual([expect.stringMatching(/holds 6 MiB.*tsbuilder repack/)]);
  });

  it('goes where it is told, without a warning', async () => {
    const warnings: string[] = [];
    const spill = file('spill');
    await mkdir(spill);
    await using disk = await openServedDisk(
      file('huge.xz'),
      servedOptions({ cacheBytes: 2 * MIB, spill }, warnings),
    );
    await expectSame(disk);
    expect(warnings).toEqual([]);
  });
});

describe('partitions', () => {
  const GPT = 'label: gpt\nsize=1MiB\nsize=2MiB\n';
  const DOS = 'label: dos\n1: size=1MiB, type=83\n2: type=5\n5: size=1MiB, type=83\n6: size=1MiB, type=83\n';

  it.each([
    ['GPT', GPT, 2],
    ['MBR', DOS, 1],
    ['a logical', DOS, 6],
  ])('of %s can be opened by number', async (_, script, number) => {
    const path = makeDisk(file('parts.img'), 8 * MIB, script);
    const { partitions } = (
      JSON.parse(run('sfdisk', ['-J', path])) as {
        partitiontable: { partitions: { node: string; start: number; size: number }[] };
      }
    ).partitiontable;
    const { start, size } = partitions.find(({ node }) => node === `${path}${number}`)!;
    patch(path, start * 512 + 1000, text(50_000));
    await using disk = await openServedDisk(path, servedOptions({ partition: number }));
    expect(disk).toMatchObject({ format: 'raw', protection: NOTHING });
    await expectSame(disk, peek(path, start * 512, size * 512));
    expect((await allExtents(disk))[0]?.offset).toBe(0);
    await writeFile(file('parts.img.xz'), xz(await readFile(path), '-T2', '-0', '--block-size=1MiB'));
    await using packed = await openServedDisk(file('parts.img.xz'), servedOptions({ partition: number }));
    expect(packed.format).toBe('xz');
    await expectSame(packed, peek(path, start * 512, size * 512));
  });

  it('that are not there are answered with those that are', async () => {
    const path = makeDisk(file('parts.img'), 8 * MIB, DOS);
    await expect(openServedDisk(path, servedOptions({ partition: 3 }))).rejects.toMatchObject({
      code: 'TSB_PARTITION_NOT_FOUND',
      message: `${path}: has no partition 3`,
      hint: 'The disk has 1 (1 MiB), 5 (1 MiB), 6 (1 MiB).',
    });
    await expect(openServedDisk(path, servedOptions({ partition: 2 }))).rejects.toMatchObject({
      code: 'TSB_PARTITION_NOT_FOUND',
      message: expect.stringContaining('extended') as string,
    });
    await expect(openServedDisk(file('disk.img'), servedOptions({ partition: 1 }))).rejects.toMatchObject({
      code: 'TSB_PARTITION_NOT_FOUND',
      message: expect.stringContaining('no partition table') as string,
    });
  });
});

describe('what cannot be opened', () => {
  it('is a path that leads to nothing', async () => {
    await expect(openServedDisk(file('nope.img'), servedOptions())).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringContaining('no such file') as string,
    });
  });

  it('is a URL of another kind', async () => {
    await expect(openServedDisk('ftp://example.org/disk', servedOptions())).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
  });

  it('is a damaged image, and no descriptor stays open', async () => {
    await writeFile(file('cut.xz'), (await readFile(file('disk.img.xz'))).subarray(0, -8));
    await expect(openServedDisk(file('cut.xz'), servedOptions())).rejects.toMatchObject({
      code: 'TSB_XZ_CORRUPT',
    });
    const handle = await open('/proc/self/fd');
    await handle.close();
    const links = run('sh', ['-c', `ls -l /proc/${process.pid}/fd`]);
    expect(links).not.toContain('cut.xz');
  });

  it.each([
    ['a backing file', ['-b', 'disk.img', '-F', 'raw']],
    ['encryption', ['--object', 'secret,id=s,data=x', '-o', 'encrypt.format=aes,encrypt.key-secret=s']],
  ])('is a qcow2 image with %s: QEMU can', async (_, args) => {
    run('qemu-img', ['create', '-q', '-f', 'qcow2', ...args, file('dependent.qcow2'), '6M']);
    await expect(openServedDisk(file('dependent.qcow2'), servedOptions())).rejects.toMatchObject({
      code: 'TSB_IMAGE_INVALID',
      hint: expect.stringMatching(/qemu-nbd.*qemu-storage-daemon/) as string,
    });
  });

  it('is anything but a template when all must be verified; nothing is asked of a server then', async () => {
    const options = servedOptions({ requireVerified: true });
    for (const src of [file('disk.img.xz'), `${server.url}/image`])
      await expect(openServedDisk(src, options)).rejects.toMatchObject({ code: 'TSB_NOT_VERIFIED' });
    expect(server.requests).toEqual([]);
  });
});

describe('a server', () => {
  it('without ranges has its file downloaded first', async () => {
    server.files['/image'] = { data: await readFile(file('disk.img.xz')), ranges: false };
    const warnings: string[] = [];
    const options = servedOptions({ spill: folder.path }, warnings);
    await using disk = await openServedDisk(`${server.url}/image`, options);
    await expectSame(disk);
    expect(server.requests.length).toBeLessThanOrEqual(2);
    expect(warnings).toEqual([
      expect.stringMatching(/does not answer range requests: all of it \(.*\) is downloaded first/),
    ]);
    expect(warnings[0]).toContain(`to a file without a name in ${folder.path}`);
  });

  it('says that all of a large gzip or zstd file is fetched first, unless that has a seek table', async () => {
    const noise = randomBytes(17 * MIB);
    const entries = cutIntoFrames(noise, 9 * MIB);
    const frames = entries.map(({ frame }) => frame);
    for (const [data, isTold] of [
      [gzipSync(noise, { level: 0 }), true],
      [Buffer.concat(frames), true],
      [Buffer.concat([...frames, seekTable(entries)]), false],
    ] as const) {
      const warnings: string[] = [];
      server.files['/image'] = { data };
      await using disk = await openServedDisk(`${server.url}/image`, servedOptions({}, warnings));
      const told = [expect.stringMatching(/has no index, so all of it \(17 MiB\) is fetched once/)];
      expect(warnings).toEqual(isTold ? told : []);
      expect(noise.subarray(9 * MIB - 10, 9 * MIB + 10).equals(await disk.read(9 * MIB - 10, 20))).toBe(true);
    }
  });

  it('is asked for a piece of a raw disk once, however often it is read', async () => {
    server.files['/image'] = { data: raw };
    await using disk = await openServedDisk(`${server.url}/image`, servedOptions());
    await disk.read(MIB, 100);
    const { length } = server.requests;
    const pieces = await Promise.all(
      Array.from({ length: 10 }, (_, index) => disk.read(MIB + index * KIB, KIB)),
    );
    expect(Buffer.concat(pieces).equals(raw.subarray(MIB, MIB + 10 * KIB))).toBe(true);
    expect(server.requests).toHaveLength(length);
  });
});

it('serves the same bytes to many readers at once', async () => {
  const hash = (disk: ServedDisk): Promise<string> =>
    disk.read(0, disk.size).then((data) => createHash('sha256').update(data).digest('hex'));
  await using disk = await openServedDisk(file('disk.img.xz'), servedOptions());
  const expected = createHash('sha256').update(raw).digest('hex');
  expect(new Set(await Promise.all(Array.from({ length: 8 }, () => hash(disk))))).toEqual(
    new Set([expected]),
  );
});

it('warns of a qcow2 image that is cut off, and serves what is left of it', async () => {
  const image = await readFile(file('disk.qcow2'));
  const cut = image.subarray(0, image.length - 2 * MIB);
  await writeFile(file('cut.qcow2'), cut);
  server.files['/cut.qcow2'] = { data: cut };
  for (const src of [file('cut.qcow2'), `${server.url}/cut.qcow2`]) {
    const warnings: string[] = [];
    await using disk = await openServedDisk(src, servedOptions({}, warnings));
    expect(warnings).toEqual([expect.stringMatching(/cut\.qcow2: .* at least 2 MiB at its end are missing/)]);
    await expect(disk.read(4 * MIB, MIB)).rejects.toThrow(`the file ends at ${cut.length}`);
    expect(raw.subarray(0, MIB).equals(await disk.read(0, MIB))).toBe(true);
  }
});
