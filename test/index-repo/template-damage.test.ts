import { createHash } from 'node:crypto';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTemplateCache } from '../../src/index-repo/template-cache.js';
import type { TemplateEntry } from '../../src/index-repo/template-entry.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { type BlockMap, formatBlockMap } from '../../src/xz/block-map.js';
import { makeBlockMap } from '../../src/xz/make-block-map.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import { FAST, type TestServer, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { templateEntry } from '../helpers/template-entry.js';
import { text, xz } from '../helpers/xz.js';

const DATA = xz(text(800 * 1024), '-0', '--block-size=65536');
const ETAG = '"always the same"';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let server: TestServer;
let map: BlockMap;
let entry: TemplateEntry;

beforeEach(async () => {
  folder = await scratchFolder();
  const source = bytesSource('t.xz', DATA);
  map = await makeBlockMap(source, await readXzIndex(source));
  const blocks = Buffer.from(formatBlockMap(map));
  server = await startTestServer({ '/t.xz': { data: DATA, etag: ETAG }, '/t.blocks': { data: blocks } });
  entry = templateEntry(`${server.url}/t.xz`, DATA, {
    blocks: `${server.url}/t.blocks`,
    blocksSha512: createHash('sha512').update(blocks).digest('hex'),
  });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const cacheDir = (): string => join(folder.path, 'cache');

/** Puts the template into the cache. */
function ensure(wanted = entry): Promise<string> {
  return openTemplateCache(cacheDir()).ensure(wanted, { http: FAST });
}

const blocks = (): BlockMap['ranges'] => map.ranges.filter(({ kind }) => kind === 'block');

/** The file with one byte of each of these blocks changed. */
function damaged(...numbers: number[]): Buffer {
  const copy = Buffer.from(DATA);
  for (const number of numbers) copy[blocks()[number]!.offset + 40]! ^= 1;
  return copy;
}

describe('a template with a wrong checksum', () => {
  it('has its damaged blocks named', async () => {
    server.files['/t.xz'] = { data: damaged(2, 7), etag: ETAG };
    const [{ offset, length }, other] = [blocks()[2]!, blocks()[7]!];
    await expect(ensure()).rejects.toMatchObject({
      code: 'TSB_CHECKSUM_MISMATCH',
      message: expect.stringMatching(
        new RegExp(
          `SHA-512 is wrong .*; damaged: block 2 \\(bytes ${offset}-${offset + length - 1}\\), block 7 \\(bytes ${other.offset}-\\d+\\)$`,
        ),
      ) as string,
      details: expect.objectContaining({ origin: 'download', damagedParts: 2 }) as object,
    });
  });

  it('has the first of many named, and the others counted', async () => {
    server.files['/t.xz'] = { data: damaged(0, 1, 2, 3, 4), etag: ETAG };
    await expect(ensure()).rejects.toThrow(/block 0 .*, block 1 .*, block 2 \([^,]*\) and 2 more$/);
  });

  it('has what is missing of it named when it is too short', async () => {
    server.files['/t.xz'] = { data: DATA.subarray(0, blocks()[11]!.offset), etag: ETAG };
    await expect(ensure()).rejects.toMatchObject({
      code: 'TSB_SIZE_MISMATCH',
      message: expect.stringContaining('damaged: block 11') as string,
    });
  });

  it('is told as ever where the map cannot be had, is wrong, or is not there', async () => {
    server.files['/t.xz'] = { data: damaged(2), etag: ETAG };
    const wrong = {
      code: 'TSB_CHECKSUM_MISMATCH',
      message: expect.not.stringContaining('damaged') as string,
    };
    await expect(ensure({ ...entry, blocksSha512: 'ab'.repeat(64) })).rejects.toMatchObject(wrong);
    await expect(ensure({ ...entry, blocks: `${server.url}/nope` })).rejects.toMatchObject(wrong);
    await expect(ensure({ ...entry, blocks: undefined })).rejects.toMatchObject(wrong);
  });

  it('has its blocks named in a local file and in the cache', async () => {
    const path = join(folder.path, 't.xz');
    await writeFile(path, damaged(3));
    await expect(ensure({ ...entry, url: path })).rejects.toThrow(/damaged: block 3 /);
    const cached = await ensure();
    await writeFile(cached, damaged(5));
    await using handle = await openTemplateCache(cacheDir()).fetch(entry, { http: FAST });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(handle.verify()).rejects.toMatchObject({
        message: expect.stringContaining('damaged: block 5 ') as string,
        details: expect.objectContaining({ origin: 'cache' }) as object,
      });
    }
  });
});

describe('a partial download', () => {
  /** Leaves the first `length` bytes of the template as a killed process does, then changes them. */
  async function leave(length: number, content: Uint8Array): Promise<void> {
    const partial = join(cacheDir(), 'partial', entry.sha512!);
    await mkdir(join(cacheDir(), 'partial'), { recursive: true, mode: 0o700 });
    await writeFile(partial, content);
    await truncate(partial, length);
    const state = { url: entry.url, size: DATA.length, etag: ETAG };
    await writeFile(`${partial}.json`, JSON.stringify(state));
  }

  /** The first byte that was asked for of the template. */
  const ranges = (): (string | undefined)[] =>
    server.requests.filter(({ path }) => path === '/t.xz').map(({ headers }) => headers.range);

  it('goes on behind its last byte when its blocks are right', async () => {
    const length = blocks()[6]!.offset + 1000;
    await leave(length, DATA);
    expect(DATA.equals(await readFile(await ensure()))).toBe(true);
    expect(ranges()).toEqual([`bytes=${length}-`]);
  });

  it('goes on at the first block that is damaged', async () => {
    await leave(blocks()[6]!.offset + 1000, damaged(3));
    expect(DATA.equals(await readFile(await ensure()))).toBe(true);
    expect(ranges()).toEqual([`bytes=${blocks()[3]!.offset}-`]);
  });

  it('goes on behind its last byte without a map, and begins anew when the whole is wrong', async () => {
    const length = blocks()[6]!.offset + 1000;
    await leave(length, damaged(3));
    expect(DATA.equals(await readFile(await ensure({ ...entry, blocks: undefined })))).toBe(true);
    expect(ranges()).toEqual([`bytes=${length}-`, undefined]);
  });
});
