import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Download, type DownloadOptions, startDownload } from '../../src/io/download.js';
import { writeDownloadState } from '../../src/io/download-state.js';
import { openFollowSource, openLeapingSource } from '../../src/io/follow-source.js';
import { FAST, type TestServer, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';

const DATA = randomBytes(600_000);
const hash = (algorithm: string, data: Uint8Array): string =>
  createHash(algorithm).update(data).digest('hex');

let server: TestServer;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let path: string;
const url = (): string => `${server.url}/a`;

beforeEach(async () => {
  server = await startTestServer({ '/a': { data: DATA } });
  folder = await scratchFolder();
  path = join(folder.path, 'partial');
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const start = (options: Partial<DownloadOptions> = {}): Promise<Download> =>
  startDownload({ url: url(), path, maxSize: 10_000_000, ...FAST, ...options });

async function expectWhole(download: Download, data: Uint8Array = DATA): Promise<void> {
  expect(await download.done).toMatchObject({ size: data.length, sha512: hash('sha512', data) });
  expect((await readFile(path)).equals(data)).toBe(true);
}

/** Leaves the first `length` bytes of `data` behind, as a killed process would. */
async function leavePartial(length: number, data = DATA, etag = `"${hash('md5', DATA)}"`): Promise<void> {
  await writeFile(path, data.subarray(0, length));
  writeDownloadState(path, url(), { size: DATA.length, etag, lastModified: undefined });
}

describe('download', () => {
  it('fetches a file, hashes it on the way and reports bytes', async () => {
    let bytes = 0;
    let size: number | undefined;
    const report = { onStart: (n?: number) => (size = n), onBytes: (n: number) => (bytes += n) };
    await using download = await start({ ...report, sha256: true });
    await expectWhole(download);
    expect(await download.done).toMatchObject({
      sha256: hash('sha256', DATA),
      etag: `"${hash('md5', DATA)}"`,
    });
    expect([size, bytes, await download.size]).toEqual([DATA.length, DATA.length, DATA.length]);
  });

  it('fetches an empty file', async () => {
    server.files['/a'] = { data: Buffer.alloc(0) };
    await using download = await start();
    await expectWhole(download, Buffer.alloc(0));
  });

  it.each([
    ['without ranges', { ranges: false }],
    ['without a length', { length: false }],
    ['without both', { ranges: false, length: false }],
    ['without a validator', { etag: null }],
    ['with a weak ETag', { etag: 'W/"x"' }],
  ])('survives drops in mid-body from a server %s', async (_, quirks) => {
    server.files['/a'] = { data: DATA, ...quirks };
    server.fault = (_request, count) => (count < 4 ? { dropAfter: 50_000 * (count + 1) } : undefined);
    await using download = await start();
    await expectWhole(download);
    expect(server.requests).toHaveLength(5);
  });

  it('goes on where it was dropped', async () => {
    server.fault = (_, count) => (count < 5 ? { dropAfter: 90_000 } : undefined);
    await using download = await start();
    await expectWhole(download);
    const last = server.requests.at(-1)?.headers;
    expect(last?.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(last?.['if-range']).toBe(`"${hash('md5', DATA)}"`);
  });

  it('resumes by date where there is no ETag', async () => {
    server.files['/a'] = { data: DATA, etag: null, lastModified: 'Wed, 21 Oct 2015 07:28:00 GMT' };
    server.fault = (_, count) => (count < 1 ? { dropAfter: 90_000 } : undefined);
    await using download = await start();
    await expectWhole(download);
    expect(server.requests.at(-1)?.headers['if-range']).toBe('Wed, 21 Oct 2015 07:28:00 GMT');
  });

  it('outlasts 429 and 5xx and a hanging server', async () => {
    server.fault = (_, count) =>
      [{ status: 429 }, { status: 500 }, { hangAfter: -1 }, { hangAfter: 1000 }, { status: 503 }][count];
    await using download = await start();
    await expectWhole(download);
    expect(server.requests).toHaveLength(6);
  });

  it.each([404, 403, 410, 416, 301])('fails on status %d and leaves nothing', async (status) => {
    server.fault = () => ({ status });
    await using download = await start({ maxAttempts: 2 });
    await expect(download.done).rejects.toMatchObject({ code: 'TSB_HTTP_STATUS', details: { status } });
    await expect(download.size).rejects.toMatchObject({ code: 'TSB_HTTP_STATUS' });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('gives up on a server that never gets further, and keeps what it has', async () => {
    server.fault = (_, count) => ({ dropAfter: count === 0 ? 100_000 : 0 });
    await using download = await start({ maxAttempts: 3 });
    await expect(download.done).rejects.toMatchObject({ code: 'TSB_NETWORK' });
    expect((await readFile(path)).length).toBeGreaterThan(0);
  });

  it('refuses more than the maximum, with and without a length', async () => {
    for (const length of [true, false]) {
      server.files['/a'] = { data: DATA, length };
      await using download = await start({ maxSize: 500_000 });
      await expect(download.done).rejects.toMatchObject({ code: 'TSB_SIZE_MISMATCH' });
      expect(await readdir(folder.path)).toEqual([]);
    }
  });

  it('refuses content in an encoding', async () => {
    server.fault = () => ({ headers: { 'content-encoding': 'gzip' } });
    await using download = await start();
    await expect(download.done).rejects.toMatchObject({ code: 'TSB_NETWORK' });
  });

  it('stops when it is disposed of, keeping what can be resumed', async () => {
    server.fault = () => ({ hangAfter: 200_000 });
    const download = await start({ stallMs: 30_000 });
    await download.mark.waitFor(200_000);
    await download[Symbol.asyncDispose]();
    await expect(download.done).rejects.toMatchObject({ code: 'TSB_INTERRUPTED' });
    expect((await readdir(folder.path)).sort()).toEqual(['partial', 'partial.json']);
    server.fault = () => undefined;
    await using next = await start();
    await expectWhole(next);
    expect(next.resumed).toBe(true);
    expect(server.requests.at(-1)?.headers.range).toBe('bytes=200000-');
  });

  it('fails on a partial file that cannot be opened', async () => {
    path = join(folder.path, 'no', 'such', 'folder');
    await expect(start()).rejects.toMatchObject({ code: 'TSB_IO' });
  });
});

describe('download of a partial file', () => {
  it('is resumed with its prefix hashed again', async () => {
    await leavePartial(400_000);
    await using download = await start();
    await expectWhole(download);
    expect(download.resumed).toBe(true);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual(['bytes=400000-']);
  });

  it('asks for the last byte only when the file is complete or too long', async () => {
    for (const extra of [0, 5]) {
      server.requests.length = 0;
      await leavePartial(DATA.length + extra, Buffer.concat([DATA, Buffer.alloc(extra)]));
      await using download = await start();
      await expectWhole(download);
      expect(server.requests.map(({ headers }) => headers.range)).toEqual([`bytes=${DATA.length - 1}-`]);
    }
  });

  it('starts from zero when the file has changed on the server', async () => {
    await leavePartial(400_000, randomBytes(400_000), '"older"');
    await using download = await start();
    await expectWhole(download);
    expect(download.resumed).toBe(false);
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['no note', ''],
    ['a damaged note', '{"url":'],
    ['a note about another URL', '{"url":"http://other/","etag":"\\"x\\""}'],
    ['a note without a validator', '{"url":"URL","size":600000}'],
    ['a hostile note', '{"url":"URL","etag":"\\"x\\"\\r\\nevil: 1","size":-5}'],
  ])('starts from zero with %s', async (_, note) => {
    await writeFile(path, randomBytes(1000));
    await writeFile(`${path}.json`, note.replace('URL', url()));
    await using download = await start();
    await expectWhole(download);
    expect(server.requests[0]?.headers.range).toBeUndefined();
  });

  it.each([
    ['another first byte', { 'content-range': 'bytes 0-599999/600000' }],
    ['another length', { 'content-range': 'bytes 400000-599998/599999' }],
    ['an end before the end', { 'content-range': 'bytes 400000-500000/600000' }],
    ['nonsense', { 'content-range': 'bytes of some kind' }],
    ['another ETag', { etag: '"other"' }],
  ])('does not believe a 206 with %s', async (_, headers: Record<string, string>) => {
    await leavePartial(400_000);
    server.fault = (request) => (request.headers.range === undefined ? undefined : { headers });
    await using download = await start();
    await expectWhole(download);
    expect(server.requests.map((request) => request.headers.range)).toEqual(['bytes=400000-', undefined]);
  });

  it('refuses a 206 that goes on behind the end', async () => {
    await leavePartial(400_000);
    server.files['/a'] = { data: DATA, length: false };
    server.fault = () => ({ body: randomBytes(200_001) });
    await using download = await start();
    await expect(download.done).rejects.toMatchObject({ code: 'TSB_SIZE_MISMATCH' });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('takes a 416 as the end where the file ends, and starts from zero elsewhere', async () => {
    const state = { size: undefined, etag: `"${hash('md5', DATA)}"`, lastModified: undefined };
    for (const length of [DATA.length, 700_000]) {
      await writeFile(path, Buffer.concat([DATA, Buffer.alloc(100_000)]).subarray(0, length));
      writeDownloadState(path, url(), state);
      await using download = await start();
      await expectWhole(download);
    }
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([
      'bytes=600000-',
      'bytes=700000-',
      undefined,
    ]);
  });
});

describe('follow source', () => {
  const slow = { slowMs: 2 };

  it('waits for bytes that have not arrived', async () => {
    server.fault = () => slow;
    await using download = await start();
    await using source = await openFollowSource(download);
    expect(source.size).toBe(DATA.length);
    const reads = [
      [599_990, 10],
      [0, 10],
      [300_000, 5000],
      [600_000, 0],
    ] as const;
    await Promise.all(
      reads.map(async ([offset, length]) => {
        expect(DATA.subarray(offset, offset + length).equals(await source.read(offset, length))).toBe(true);
      }),
    );
    await expectWhole(download);
  });

  it('opens at the end when the server does not tell the length', async () => {
    server.files['/a'] = { data: DATA, length: false };
    server.fault = () => slow;
    await using download = await start();
    await using source = await openFollowSource(download);
    expect(source.size).toBe(DATA.length);
    expect(DATA.subarray(5, 15).equals(await source.read(5, 10))).toBe(true);
  });

  it('fails all waiting and later reads when the download fails, not those whose bytes are there', async () => {
    server.fault = (_, count) => (count === 0 ? { dropAfter: 100_000 } : { status: 404 });
    await using download = await start();
    await using source = await openFollowSource(download);
    const reads = [source.read(500_000, 10), source.read(599_999, 1)];
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'TSB_HTTP_STATUS' });
    await expect(source.read(550_000, 1)).rejects.toMatchObject({ code: 'TSB_HTTP_STATUS' });
    if (download.mark.reached > 0) expect(DATA.subarray(0, 1).equals(await source.read(0, 1))).toBe(true);
  });

  it('stops waiting when it is told to', async () => {
    server.fault = () => ({ hangAfter: 10 });
    await using download = await start({ stallMs: 30_000 });
    await using source = await openFollowSource(download);
    const controller = new AbortController();
    const read = source.read(1000, 10, controller.signal);
    controller.abort(new Error('enough'));
    await expect(read).rejects.toThrow('enough');
    await expect(source.read(1000, 10, controller.signal)).rejects.toThrow('enough');
  });

  it.each([{}, { ranges: false }, { etag: null }])('survives drops while it is read (%j)', async (quirks) => {
    server.files['/a'] = { data: DATA, ...quirks };
    server.fault = (_, count) => (count < 4 ? { dropAfter: 140_000 * (count + 1) } : undefined);
    await using download = await start();
    await using source = await openFollowSource(download);
    for (let offset = 0; offset < DATA.length; offset += 50_000)
      expect(DATA.subarray(offset, offset + 50_000).equals(await source.read(offset, 50_000))).toBe(true);
    await expectWhole(download);
  });

  it('never mixes two versions: a change in mid-download fails once bytes have been read', async () => {
    server.fault = (_, count) => (count === 0 ? { hangAfter: 200_000 } : undefined);
    await using download = await start();
    await using source = await openFollowSource(download);
    await source.read(100_000, 1000);
    server.files['/a'] = { data: randomBytes(DATA.length) };
    await expect(source.read(300_000, 10)).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
    await expect(download.done).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('takes the new version as long as nothing has been read', async () => {
    const changed = randomBytes(DATA.length);
    server.fault = (_, count) => (count === 0 ? { hangAfter: 200_000 } : undefined);
    await using download = await start();
    await download.size;
    server.files['/a'] = { data: changed };
    await expectWhole(download, changed);
  });

  it('fails when the length changes in mid-download', async () => {
    server.fault = (_, count) => (count === 0 ? { hangAfter: 200_000 } : undefined);
    await using download = await start();
    await download.size;
    server.files['/a'] = { data: randomBytes(DATA.length + 1) };
    await expect(download.done).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
  });
});

describe('leaping source', () => {
  it('reads the end by a range while the download is still at its beginning', async () => {
    server.fault = (request) => (request.headers.range === undefined ? { hangAfter: 1000 } : undefined);
    await using download = await start({ stallMs: 30_000 });
    await using source = await openLeapingSource(download, FAST);
    expect(DATA.subarray(599_000).equals(await source.read(599_000, 1000))).toBe(true);
    expect(download.mark.reached).toBe(1000);
  });

  it.each([
    ['ranges are not answered', { ranges: false }, undefined],
    ['they fail', {}, { status: 404 }],
    ['they are about another version', {}, { headers: { etag: '"other"' } }],
  ])('waits where %s', async (_, quirks, fault) => {
    server.files['/a'] = { data: DATA, ...quirks };
    server.fault = (request) => (request.headers.range === undefined ? { slowMs: 2 } : fault);
    await using download = await start();
    await using source = await openLeapingSource(download, FAST);
    expect(DATA.subarray(599_000).equals(await source.read(599_000, 1000))).toBe(true);
    await expectWhole(download);
  });

  it('fails with the reason of the download when both ways fail', async () => {
    server.fault = (_, count) => (count === 0 ? { dropAfter: 1000 } : { status: 403 });
    await using download = await start();
    await using source = await openLeapingSource(download, FAST);
    await expect(source.read(599_000, 1000)).rejects.toMatchObject({ details: { status: 403 } });
  });
});
