import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { addTemplate, ensureRepository } from '../../src/index-repo/publish.js';
import { bytesSource } from '../../src/io/byte-source.js';
import { newCounters } from '../../src/io/counters.js';
import { openServedDisk } from '../../src/serve/open-disk.js';
import { type ServedDiskOptions } from '../../src/serve/served-disk.js';
import { type BlockMap, formatBlockMap } from '../../src/xz/block-map.js';
import { makeBlockMap } from '../../src/xz/make-block-map.js';
import { readXzIndex } from '../../src/xz/xz-index.js';
import {
  type EntryFields,
  type IndexKey,
  indexText,
  makeIndexKey,
  serve,
} from '../helpers/e2e-repository.js';
import { type TestServer, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { servedOptions } from '../helpers/served-disk.js';
import { text, xz } from '../helpers/xz.js';

const BLOCK = 256 * 1024;
/** Eight blocks, the third of zeros. */
const RAW = Buffer.concat([text(2 * BLOCK), Buffer.alloc(BLOCK), text(5 * BLOCK, 9)]);
const XZ = xz(RAW, '-0', '-T2', `--block-size=${BLOCK}`);
const ETAG = '"always the same"';

const sha512 = (data: Uint8Array): string => createHash('sha512').update(data).digest('hex');

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let server: TestServer;
let key: IndexKey;
let map: BlockMap;
let warnings: string[];

beforeEach(async () => {
  folder = await scratchFolder();
  for (const variable of ['XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME'])
    vi.stubEnv(variable, join(folder.path, variable));
  vi.stubEnv('TSBUILDER_DATA_DIR', join(folder.path, 'data'));
  server = await startTestServer();
  key = await makeIndexKey(folder.path);
  const source = bytesSource('t.xz', XZ);
  map = await makeBlockMap(source, await readXzIndex(source));
  warnings = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const WITHOUT_MAP: EntryFields = { blocks: undefined, 'blocks[sha512]': undefined };

/** Publishes the template on the server; `fields` change its entry. */
async function publish(fields: EntryFields = {}, file: Uint8Array = XZ): Promise<void> {
  const blocks = formatBlockMap(map);
  const entry = {
    file: 't.xz',
    'checksum[sha512]': sha512(XZ),
    format: 'raw',
    size: RAW.length,
    compressed_size: XZ.length,
    blocks: 't.blocks',
    'blocks[sha512]': sha512(Buffer.from(blocks)),
    ...fields,
  };
  serve(server, {
    'index.asc': await key.sign(indexText({ mini: entry })),
    't.xz': { data: file, etag: ETAG },
    't.blocks': blocks,
  });
}

function options(changes: Partial<ServedDiskOptions> = {}, query: object = {}): ServedDiskOptions {
  const plain = servedOptions(changes, warnings);
  const templates = {
    ...plain.templates,
    sources: [`${server.url}/repo/index.asc`],
    keys: [key.file],
    cacheDir: join(folder.path, 'cache'),
    ...query,
  };
  return { ...plain, templates };
}

const requests = (path: string): typeof server.requests =>
  server.requests.filter((request) => request.path === `/repo/${path}`);

function flipped(at: number, data: Uint8Array = XZ): Buffer {
  const copy = Buffer.from(data);
  copy[at]! ^= 1;
  return copy;
}

const places = (kind: 'edge' | 'block'): BlockMap['ranges'] =>
  map.ranges.filter((range) => range.kind === kind);

describe('a template with a block map', () => {
  it('is read by ranges, and only where it is needed', async () => {
    await publish();
    const counters = newCounters();
    await using disk = await openServedDisk('mini', options({ counters, requireVerified: true }));
    expect(disk).toMatchObject({
      size: RAW.length,
      format: 'xz',
      protection:
        'every block is checked against the block map in the signed index before a byte of it is used',
    });
    expect(requests('t.blocks')).toHaveLength(1);
    expect(requests('t.xz').length).toBeLessThanOrEqual(3);
    counters.bytesFetched = 0;
    expect(RAW.subarray(BLOCK, BLOCK + 9).equals(await disk.read(BLOCK, 9))).toBe(true);
    expect(counters.bytesFetched).toBe(places('block')[1]!.length);
    expect(RAW.equals(await disk.read(0, RAW.length))).toBe(true);
    expect(requests('t.xz').every(({ headers }) => headers.range !== undefined)).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('gives no byte of a block that has changed, says which, and recovers', async () => {
    const { offset, length } = places('block')[3]!;
    await publish({}, flipped(offset + length - 1));
    await using disk = await openServedDisk('mini', options());
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(disk.read(3 * BLOCK, 1)).rejects.toMatchObject({
        code: 'TSB_CHECKSUM_MISMATCH',
        message: expect.stringContaining(`block 3 (bytes ${offset}-${offset + length - 1})`) as string,
      });
    }
    expect(RAW.subarray(4 * BLOCK, 5 * BLOCK).equals(await disk.read(4 * BLOCK, BLOCK))).toBe(true);
    serve(server, { 't.xz': { data: XZ, etag: ETAG } });
    expect(RAW.subarray(3 * BLOCK, 4 * BLOCK).equals(await disk.read(3 * BLOCK, BLOCK))).toBe(true);
  });

  it('believes nothing of a block of zeros either', async () => {
    const { offset } = places('block')[2]!;
    await publish({}, flipped(offset + 30));
    await using disk = await openServedDisk('mini', options());
    await expect(disk.read(2 * BLOCK, 1)).rejects.toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH' });
    const [extent] = await disk.extents(2 * BLOCK, BLOCK);
    expect(extent?.kind).toBe('data');
  });

  it('is not opened when its index or footer has changed', async () => {
    for (const at of [5, XZ.length - 1, places('edge').at(-1)!.offset]) {
      await publish({}, flipped(at));
      await expect(openServedDisk('mini', options())).rejects.toMatchObject({
        code: 'TSB_CHECKSUM_MISMATCH',
      });
    }
  });

  it('is not opened when it has another length', async () => {
    await publish({}, Buffer.concat([XZ, Buffer.alloc(4)]));
    await expect(openServedDisk('mini', options())).rejects.toMatchObject({ code: 'TSB_SIZE_MISMATCH' });
  });

  it('is not even asked for when the map is not the one that was signed', async () => {
    await publish();
    serve(server, { 't.blocks': flipped(400, Buffer.from(formatBlockMap(map))) });
    await expect(openServedDisk('mini', options())).rejects.toMatchObject({
      code: 'TSB_CHECKSUM_MISMATCH',
      message: expect.stringContaining('t.blocks: the SHA-512 of the block map is wrong') as string,
    });
    expect(requests('t.xz')).toEqual([]);
  });

  it('is not asked for when the map is that of another file', async () => {
    await publish({ 'checksum[sha512]': 'ab'.repeat(64) });
    await expect(openServedDisk('mini', options())).rejects.toMatchObject({
      code: 'TSB_BLOCK_MAP_INVALID',
      message: expect.stringContaining('another file') as string,
    });
    expect(requests('t.xz')).toEqual([]);
  });

  it('is not asked for when what was signed is no map', async () => {
    const junk = 'tsbuilder block map 1\nsize 5\n';
    await publish({ 'blocks[sha512]': sha512(Buffer.from(junk)) });
    serve(server, { 't.blocks': junk });
    await expect(openServedDisk('mini', options())).rejects.toMatchObject({ code: 'TSB_BLOCK_MAP_INVALID' });
    expect(requests('t.xz')).toEqual([]);
  });

  it('is fetched as a whole, and verified, where its map cannot be had', async () => {
    await publish();
    delete server.files['/repo/t.blocks'];
    await using disk = await openServedDisk('mini', options());
    expect(disk.protection).toBe(
      'the whole template was verified when it was opened (SHA-512 in the signed index)',
    );
    expect(warnings).toEqual([expect.stringMatching(/404.*verified as a whole/)]);
    await expect(openServedDisk('mini', options({ requireVerified: true }))).rejects.toMatchObject({
      code: 'TSB_NOT_VERIFIED',
    });
  });

  it('is fetched as a whole where the server has no ranges, and its blocks are checked all the same', async () => {
    await publish();
    serve(server, { 't.xz': { data: XZ, etag: ETAG, ranges: false } });
    await using disk = await openServedDisk('mini', options({ requireVerified: true }));
    expect(disk.protection).toContain('every block is checked');
    expect(RAW.equals(await disk.read(0, RAW.length))).toBe(true);
    expect(warnings).toEqual([expect.stringMatching(/range requests; fetching all of mini first/)]);
  });

  it('comes from the cache when it is there, also offline', async () => {
    await publish();
    await using first = await openServedDisk('mini', options());
    expect(RAW.equals(await first.read(0, RAW.length))).toBe(true);
    await expect(openServedDisk('mini', options({}, { offline: true }))).rejects.toMatchObject({
      code: 'TSB_OFFLINE',
    });
    // What a build leaves in the cache.
    serve(server, { 't.xz': { data: XZ, etag: ETAG, ranges: false } });
    await using _ = await openServedDisk('mini', options());
    server.requests.length = 0;
    await using disk = await openServedDisk('mini', options({ requireVerified: true }, { offline: true }));
    expect(RAW.equals(await disk.read(0, RAW.length))).toBe(true);
    expect(server.requests).toEqual([]);
    const cached = join(folder.path, 'cache', 'sha512', sha512(XZ));
    await writeFile(cached, flipped(places('block')[0]!.offset + 50));
    await using damaged = await openServedDisk('mini', options());
    await expect(damaged.read(0, 1)).rejects.toMatchObject({
      code: 'TSB_CHECKSUM_MISMATCH',
      message: expect.stringContaining('block 0') as string,
    });
  });

  it('does not count as verified when the signature of the index was not checked', async () => {
    await publish();
    const unchecked = { checkSignature: false, keys: [] };
    await expect(openServedDisk('mini', options({ requireVerified: true }, unchecked))).rejects.toMatchObject(
      { code: 'TSB_NOT_VERIFIED', hint: 'Leave --no-check-signature away.' },
    );
    await using disk = await openServedDisk('mini', options({}, unchecked));
    expect(disk.protection).toContain('an index whose signature was not checked');
  });

  it('may hold a qcow2 image, which the index says', async () => {
    await publish({ format: 'qcow2' });
    await expect(openServedDisk('mini', options())).rejects.toMatchObject({ code: 'TSB_IMAGE_INVALID' });
  });
});

describe('a template without a block map', () => {
  it('is fetched into the cache and verified first', async () => {
    await publish(WITHOUT_MAP);
    await using disk = await openServedDisk('mini', options());
    expect(disk.protection).toContain('the whole template was verified');
    expect(RAW.equals(await disk.read(0, RAW.length))).toBe(true);
    expect(await readdir(join(folder.path, 'cache', 'sha512'))).toEqual([sha512(XZ)]);
    server.requests.length = 0;
    await using again = await openServedDisk('mini', options());
    expect(RAW.equals(await again.read(0, RAW.length))).toBe(true);
    expect(requests('t.xz')).toEqual([]);
  });

  it('is refused when any byte of it has changed', async () => {
    await publish(WITHOUT_MAP, flipped(places('block')[7]!.offset + 99));
    await expect(openServedDisk('mini', options())).rejects.toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH' });
    expect(await readdir(join(folder.path, 'cache', 'sha512'))).toEqual([]);
  });

  it('is fetched again, once, when its copy in the cache is damaged', async () => {
    await publish(WITHOUT_MAP);
    await using _ = await openServedDisk('mini', options());
    await writeFile(join(folder.path, 'cache', 'sha512', sha512(XZ)), flipped(500));
    await using disk = await openServedDisk('mini', options());
    expect(RAW.equals(await disk.read(0, RAW.length))).toBe(true);
    expect(warnings).toEqual([expect.stringMatching(/wrong.*fetching it again/)]);
  });

  it('is refused, and not asked for, when every block must be verified', async () => {
    for (const fields of [WITHOUT_MAP, { 'blocks[sha512]': undefined }]) {
      await publish(fields);
      await expect(openServedDisk('mini', options({ requireVerified: true }))).rejects.toMatchObject({
        code: 'TSB_NOT_VERIFIED',
        message: expect.stringContaining('there is no block map of it') as string,
      });
    }
    expect(requests('t.xz')).toEqual([]);
  });

  it('is only protected by its own checks when nothing else vouches for it', async () => {
    await publish({ ...WITHOUT_MAP, 'checksum[sha512]': undefined });
    await expect(openServedDisk('mini', options())).rejects.toMatchObject({ code: 'TSB_INDEX_UNSIGNED' });
    await using disk = await openServedDisk('mini', options({}, { checkSignature: false, keys: [] }));
    expect(disk.protection).toBe('only the integrity checks inside the xz file (CRC64) protect the data');
  });
});

describe('names', () => {
  it('that are neither files nor templates are told as both', async () => {
    await publish();
    await expect(openServedDisk('minni', options())).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringMatching(
        /^minni: no such file, and no template: there is no template minni/,
      ) as string,
      hint: 'Did you mean mini?',
    });
  });

  it('of templates have no format of the user', async () => {
    await publish();
    await expect(openServedDisk('mini', options({ format: 'raw' }))).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
  });
});

describe('a local repository', () => {
  it('serves what it has published in place, verified block by block', async () => {
    const place = {
      dir: join(folder.path, 'repository'),
      secretKeyPath: join(folder.path, 'keys', 'key.asc'),
    };
    const repository = await ensureRepository(place);
    const disk = Buffer.concat([RAW, randomBytes(512)]);
    const xzPath = join(folder.path, 'new.xz');
    await writeFile(xzPath, xz(disk, '-0', `--block-size=${BLOCK}`));
    const { arch } = process;
    const machine = { x64: 'x86_64', arm64: 'aarch64' }[arch as string] ?? arch;
    const { path } = await addTemplate(repository, {
      ...{ name: 'own', arch: machine, format: 'raw', size: disk.length, xzPath },
    });
    const query = { sources: [repository.indexPath], keys: [repository.publicKeyPath] };
    await using served = await openServedDisk('own', options({ requireVerified: true }, query));
    expect(served).toMatchObject({ name: path, size: disk.length });
    expect(disk.equals(await served.read(0, disk.length))).toBe(true);
    const content = await readFile(path);
    await writeFile(path, flipped(100, content));
    await using damaged = await openServedDisk('own', options({}, query));
    await expect(damaged.read(0, 1)).rejects.toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH' });
  });
});
