import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newCounters } from '../../src/io/counters.js';
import { fetchSmall } from '../../src/io/fetch-small.js';
import { isSameVersion, identityOf, parseContentRange } from '../../src/io/http-identity.js';
import { tellRetries } from '../../src/io/http-retry.js';
import { openHttpSource } from '../../src/io/http-source.js';
import { openSource } from '../../src/io/open-source.js';
import { isXz, readXzIndex } from '../../src/xz/xz-index.js';
import { FAST, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { text, xz } from '../helpers/xz.js';

const DATA = randomBytes(300_000);

describe('http source', () => {
  it('reads any range, also many at once, following redirects once', async () => {
    await using server = await startTestServer({ '/real': { data: DATA } });
    server.fault = ({ path }) =>
      path === '/a' ? { status: 302, headers: { location: '/real' } } : undefined;
    await using source = await openHttpSource(`${server.url}/a?token=secret`, FAST);
    expect(source.size).toBe(DATA.length);
    expect(source.name).toBe(`${server.url}/a?...`);
    const ranges = [
      [0, 1],
      [0, DATA.length],
      [DATA.length - 5, 5],
      [1000, 70_000],
      [DATA.length, 0],
    ] as const;
    await Promise.all(
      ranges.map(async ([offset, length]) => {
        expect(DATA.subarray(offset, offset + length).equals(await source.read(offset, length))).toBe(true);
      }),
    );
    expect(server.requests.filter(({ path }) => path === '/a')).toHaveLength(1);
    expect(() => source.read(DATA.length, 1)).toThrow(RangeError);
  });

  it('goes on where a connection dropped, again and again', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    await using source = await openHttpSource(`${server.url}/a`, FAST);
    server.fault = (_, count) => (count < 12 ? { dropAfter: 20_000 } : undefined);
    expect(DATA.subarray(7, 290_007).equals(await source.read(7, 290_000))).toBe(true);
    expect(server.requests.at(-1)?.headers.range).toMatch(/^bytes=[1-9]\d+-290006$/);
    expect(server.requests.at(-1)?.headers['if-match']).toMatch(/^"/);
  });

  it('is refused where ranges are not answered', async () => {
    await using server = await startTestServer({ '/a': { data: DATA, ranges: false } });
    await expect(openHttpSource(`${server.url}/a`, FAST)).rejects.toMatchObject({ code: 'TSB_NO_RANGES' });
    server.files['/a'] = { data: DATA };
    await using source = await openHttpSource(`${server.url}/a`, FAST);
    server.files['/a'] = { data: DATA, ranges: false };
    await expect(source.read(1000, 10)).rejects.toMatchObject({ code: 'TSB_NO_RANGES' });
  });

  it('asks by HEAD for a length that the range answer hides, and is refused when that hides it too', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    server.fault = ({ headers }) =>
      headers.range === 'bytes=0-511' ? { headers: { 'content-range': 'bytes 0-511/*' } } : undefined;
    await using source = await openHttpSource(`${server.url}/a`, FAST);
    expect(source.size).toBe(DATA.length);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
    server.files['/a'] = { data: DATA, length: false };
    await expect(openHttpSource(`${server.url}/a`, FAST)).rejects.toMatchObject({
      code: 'TSB_NO_RANGES',
      message: expect.stringContaining('length') as string,
    });
  });

  it('opens an xz file in two requests, or three where the index is long', async () => {
    const data = text(2 * 1024 * 1024);
    await using server = await startTestServer();
    for (const [blockSize, requests] of [
      [256 * 1024, 2],
      [512, 3],
    ] as const) {
      const packed = xz(data, '-0', `--block-size=${blockSize}`);
      server.files['/a'] = { data: packed };
      const counters = newCounters();
      await using source = await openHttpSource(`${server.url}/a`, { ...FAST, counters });
      const head = await source.read(0, 6);
      expect(isXz(head)).toBe(true);
      const index = await readXzIndex(source);
      expect(index.blockCount).toBe(data.length / blockSize);
      expect(counters.httpRequests).toBe(requests);
      const first = index.block(0);
      await source.read(first.compressedOffset, first.totalSize);
      const second = index.block(1);
      await source.read(second.compressedOffset, second.totalSize);
      const most = requests + (first.totalSize > 500 ? 2 : 1);
      expect(counters.httpRequests).toBeLessThanOrEqual(most);
    }
  });

  it('fetches little besides what is read', async () => {
    const big = randomBytes(4 * 1024 * 1024);
    await using server = await startTestServer({ '/a': { data: big } });
    const counters = newCounters();
    await using source = await openHttpSource(`${server.url}/a`, { ...FAST, counters });
    await source.read(big.length - 4096, 4096);
    await source.read(big.length - 12, 12);
    await source.read(12, 400);
    expect(counters.httpRequests).toBe(2);
    await source.read(1_000_000, 1_000_000);
    expect(counters).toMatchObject({ httpRequests: 3, bytesFetched: 512 + 16_384 + 1_000_000 });
  });

  it.each([403, 404, 410])('asks again where a redirect leads when that place answers %d', async (status) => {
    await using server = await startTestServer({ '/1': { data: DATA }, '/2': { data: DATA } });
    let current = '/1';
    server.fault = ({ path }) => {
      if (path === '/a') return { status: 302, headers: { location: `${current}?signature=x` } };
      return path === current ? undefined : { status };
    };
    const counters = newCounters();
    await using source = await openHttpSource(`${server.url}/a`, { ...FAST, counters });
    await source.read(1000, 10);
    expect(counters.httpRequests).toBe(3);
    current = '/2';
    const parts = await Promise.all([1000, 2000, 3000].map((offset) => source.read(offset, 10)));
    expect(
      parts.map((part, at) =>
        DATA.subarray((at + 1) * 1000)
          .subarray(0, 10)
          .equals(part),
      ),
    ).toEqual([true, true, true]);
    server.requests.length = 0;
    await source.read(4000, 10);
    expect(server.requests.map(({ path }) => path)).toEqual(['/2']);
    // Another version behind the new redirect is no continuation of the one that was opened.
    server.files['/3'] = { data: randomBytes(DATA.length) };
    current = '/3';
    await expect(source.read(5000, 10)).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
    // And when the redirect leads nowhere else the status is the error.
    current = '/gone';
    await expect(source.read(5000, 10)).rejects.toMatchObject({
      code: 'TSB_HTTP_STATUS',
      details: { status: 404 },
    });
  });

  it('opens an empty file and a very short one', async () => {
    await using server = await startTestServer({ '/a': { data: Buffer.alloc(0) } });
    await using empty = await openHttpSource(`${server.url}/a`, FAST);
    expect(empty.size).toBe(0);
    server.files['/b'] = { data: DATA.subarray(0, 100) };
    await using short = await openHttpSource(`${server.url}/b`, FAST);
    expect(DATA.subarray(0, 100).equals(await short.read(0, 100))).toBe(true);
    expect(server.requests.filter(({ path }) => path === '/b')).toHaveLength(1);
  });

  it.each([
    ['another range', { headers: { 'content-range': `bytes 1-512/${DATA.length}` } }, /answered 206 with/],
    ['a longer one', { headers: { 'content-range': `bytes 0-600/${DATA.length}` } }, /answered 206 with/],
    ['more bytes', { body: DATA.subarray(0, 600) }, /more than was asked for/],
    ['fewer bytes', { body: DATA.subarray(0, 5) }, /sent 5 of the first 512 bytes/],
  ])('is not opened by an answer of %s', async (_, fault, message) => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    server.fault = () => fault;
    await expect(openHttpSource(`${server.url}/a`, { ...FAST, maxAttempts: 2 })).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringMatching(message) as string,
    });
  });

  it.each([
    ['another ETag', { data: randomBytes(DATA.length) }],
    ['another length', { data: DATA.subarray(1), etag: '"same"' }],
    ['the file shortened', { data: DATA.subarray(0, 5), etag: '"same"' }],
  ])('notices %s', async (_, changed) => {
    await using server = await startTestServer({ '/a': { data: DATA, etag: '"same"' } });
    await using source = await openHttpSource(`${server.url}/a`, FAST);
    server.files['/a'] = changed;
    await expect(source.read(1000, 100)).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
  });

  it('is refused when it is not the version expected', async () => {
    await using server = await startTestServer({ '/a': { data: DATA, etag: '"new"' } });
    const expected = { size: DATA.length, etag: '"old"', lastModified: undefined };
    await expect(openHttpSource(`${server.url}/a`, { ...FAST, expected })).rejects.toMatchObject({
      code: 'TSB_CONTENT_CHANGED',
    });
  });

  it.each([
    [
      'a wrong Content-Range',
      { headers: { 'content-range': `bytes 5-14/${DATA.length}` } },
      /answered 206 with/,
    ],
    ['none at all', { headers: { 'content-range': 'nonsense' } }, /answered 206 with/],
    ['more bytes than asked for', { body: DATA.subarray(0, 50) }, /more than was asked for/],
    ['no bytes', { body: DATA.subarray(0, 0) }, /sent 0 of 10 bytes/],
  ])('does not believe %s', async (_, fault, message) => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    await using source = await openHttpSource(`${server.url}/a`, { ...FAST, maxAttempts: 2 });
    server.fault = () => fault;
    const read = source.read(1000, 10);
    await expect(read).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringMatching(message) as string,
    });
  });

  it('times out on a server that hangs, and goes on when it lives again', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    await using source = await openHttpSource(`${server.url}/a`, { ...FAST, maxAttempts: 2 });
    server.fault = () => ({ hangAfter: 0 });
    await expect(source.read(1000, 10)).rejects.toMatchObject({ code: 'TSB_NETWORK_TIMEOUT' });
    const hung = server.requests.length;
    server.fault = (_, count) => (count === hung ? { hangAfter: 4 } : undefined);
    expect(DATA.subarray(1000, 1010).equals(await source.read(1000, 10))).toBe(true);
  });

  it('waits longer for a server that refuses connections but has been there', async () => {
    const server = await startTestServer({ '/a': { data: DATA } });
    const retries: string[] = [];
    const onRetry = tellRetries((sentence) => retries.push(sentence));
    await using source = await openHttpSource(`${server.url}/a`, { ...FAST, maxAttempts: 6, onRetry });
    await server[Symbol.asyncDispose]();
    await expect(source.read(70_000, 10)).rejects.toThrow(/refused \(gave up after 6 attempts\)/);
    expect(retries).toHaveLength(5);
    expect(retries[0]).toMatch(/refused; trying again in \d+ s$/);
  });

  it('stops at once when it is told to', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    await using source = await openHttpSource(`${server.url}/a`, { ...FAST, stallMs: 30_000 });
    server.fault = () => ({ hangAfter: 3 });
    const controller = new AbortController();
    const read = source.read(1000, 10, controller.signal);
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(read).rejects.toThrow('enough');
  });
});

describe('Content-Range', () => {
  it('is read back as it was written', () => {
    const range = fc.tuple(fc.nat(2 ** 40), fc.nat(2 ** 40), fc.nat(2 ** 40));
    fc.assert(
      fc.property(range, ([first, more, rest]) => {
        const [last, size] = [first + more, first + more + rest + 1];
        expect(parseContentRange(`bytes ${first}-${last}/${size}`)).toEqual({ first, last, size });
        expect(parseContentRange(`bytes */${size}`)).toEqual({ first: undefined, last: undefined, size });
        expect(parseContentRange(`bytes ${first}-${last}/*`)).toEqual({ first, last, size: undefined });
      }),
    );
  });

  it.each([
    '',
    'bytes',
    'bytes 5-4/10',
    'bytes 0-10/10',
    'items 0-1/2',
    'bytes 0-1',
    'bytes 0-9999999999999999/*',
    'bytes -1-2/3',
  ])('refuses %j', (text) => {
    expect(parseContentRange(text)).toBeUndefined();
  });
});

describe('version', () => {
  const date = { date: 'Wed, 21 Oct 2015 07:28:10 GMT' };
  it('takes strong validators only', () => {
    expect(identityOf(200, { etag: 'W/"x"', 'content-length': '5' })).toMatchObject({
      etag: undefined,
      size: 5,
    });
    expect(identityOf(200, { etag: '"x"', 'content-length': '5x' })).toMatchObject({
      etag: '"x"',
      size: undefined,
    });
    const older = 'Wed, 21 Oct 2015 07:28:00 GMT';
    expect(identityOf(200, { ...date, 'last-modified': older }).lastModified).toBe(older);
    expect(identityOf(200, { ...date, 'last-modified': date.date }).lastModified).toBeUndefined();
    expect(identityOf(200, { 'last-modified': older }).lastModified).toBeUndefined();
  });

  it('differs only where both sides know', () => {
    const version = (size?: number, etag?: string, lastModified?: string) => ({ size, etag, lastModified });
    expect(isSameVersion(version(5, '"a"'), version(5, '"a"', 'x'))).toBe(true);
    expect(isSameVersion(version(5, '"a"'), version(undefined, undefined))).toBe(true);
    expect(isSameVersion(version(5, '"a"'), version(6, '"a"'))).toBe(false);
    expect(isSameVersion(version(5, '"a"'), version(5, '"b"'))).toBe(false);
    expect(isSameVersion(version(5, undefined, 'x'), version(5, undefined, 'y'))).toBe(false);
  });
});

describe('open source', () => {
  it('opens paths, file URLs and http URLs alike', async () => {
    await using folder = await scratchFolder();
    await using server = await startTestServer({ '/a': { data: DATA } });
    const path = join(folder.path, 'a b');
    await writeFile(path, DATA);
    for (const where of [path, `file://${folder.path}/a%20b`, `${server.url}/a`]) {
      await using source = await openSource(where, FAST);
      expect(DATA.subarray(10, 30).equals(await source.read(10, 20))).toBe(true);
    }
    await expect(openSource('gopher://x/y')).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await expect(openSource(join(folder.path, 'missing'))).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});

describe('fetch small', () => {
  const maxBytes = 1000;
  const small = { data: Buffer.from('index'), etag: '"v1"' };

  it('fetches over http with retries and says where from', async () => {
    await using server = await startTestServer({ '/real': small });
    server.fault = ({ path }, count) => {
      if (path === '/a') return { status: 302, headers: { location: '/real' } };
      return count < 2 ? { status: 503 } : count < 4 ? { dropAfter: 2 } : undefined;
    };
    const found = await fetchSmall(`${server.url}/a?k=secret`, { ...FAST, maxBytes });
    expect(found).toEqual({ data: Buffer.from('index'), url: `${server.url}/real`, etag: '"v1"' });
  });

  it('reads paths and file URLs', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'index');
    await writeFile(path, 'index');
    expect(Buffer.from((await fetchSmall(path, { maxBytes })).data).toString()).toBe('index');
    expect(Buffer.from((await fetchSmall(`file://${path}`, { maxBytes: 5 })).data).toString()).toBe('index');
    await expect(fetchSmall(path, { maxBytes: 4 })).rejects.toMatchObject({ code: 'TSB_SIZE_MISMATCH' });
    await expect(fetchSmall(`${path}x`, { maxBytes })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    await expect(fetchSmall(folder.path, { maxBytes })).rejects.toMatchObject({ code: 'TSB_IO' });
  });

  it('refuses a body that is too long, with and without a length', async () => {
    await using server = await startTestServer({ '/a': { data: DATA }, '/b': { data: DATA, length: false } });
    for (const path of ['/a', '/b'])
      await expect(fetchSmall(server.url + path, { ...FAST, maxBytes })).rejects.toMatchObject({
        code: 'TSB_SIZE_MISMATCH',
      });
  });

  it('reports 404 at once and a hanging server at its deadline', async () => {
    await using server = await startTestServer({ '/a': small });
    await expect(fetchSmall(`${server.url}/b`, { ...FAST, maxBytes })).rejects.toMatchObject({
      code: 'TSB_HTTP_STATUS',
      details: { status: 404 },
    });
    server.fault = () => ({ hangAfter: 1 });
    const slow = { ...FAST, stallMs: 30_000, deadlineMs: 200, maxBytes };
    await expect(fetchSmall(`${server.url}/a`, slow)).rejects.toMatchObject({
      code: 'TSB_NETWORK_TIMEOUT',
      message: expect.stringContaining('within 0.2 s') as string,
    });
  });
});
