import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateKey, PublicKey } from 'openpgp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import {
  type TemplateCache,
  type TemplateFetchOptions,
  isCacheDamage,
  openTemplateCache,
} from '../../src/index-repo/template-cache.js';
import type { CachedTemplate } from '../../src/index-repo/template-cache-list.js';
import { chooseContent } from '../../src/index-repo/template-cache-gc.js';
import { findEntryOfFile } from '../../src/index-repo/template-cache-import.js';
import type { TemplateEntry } from '../../src/index-repo/template-entry.js';
import { exec } from '../../src/io/exec.js';
import { acquireLock } from '../../src/io/lock-file.js';
import { formatIdentity, ownIdentity } from '../../src/io/process-identity.js';
import { type Progress, silentProgress } from '../../src/progress.js';
import { startChild } from '../helpers/child-process.js';
import { FAST, type TestServer, startTestServer } from '../helpers/http-server.js';
import { scratchFolder } from '../helpers/scratch-folder.js';
import { templateEntry } from '../helpers/template-entry.js';

const DATA = randomBytes(300_000);
const SHA512 = createHash('sha512').update(DATA).digest('hex');

let server: TestServer;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let cache: TemplateCache;
let entry: TemplateEntry;
let warnings: string[];
let options: TemplateFetchOptions;

beforeEach(async () => {
  server = await startTestServer({ '/t.xz': { data: DATA } });
  folder = await scratchFolder();
  cache = openTemplateCache(join(folder.path, 'cache'));
  entry = templateEntry(`${server.url}/t.xz`, DATA);
  warnings = [];
  const progress: Progress = { ...silentProgress, warn: (message) => warnings.push(message) };
  options = { http: FAST, progress };
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Fetches `wanted`, reads all of it, verifies it; returns where it came from. */
async function use(wanted: TemplateEntry, extra: TemplateFetchOptions = {}): Promise<string> {
  await using handle = await cache.fetch(wanted, { ...options, ...extra });
  const data = await handle.source.read(0, handle.source.size);
  await handle.verify();
  await handle.verify();
  expect(DATA.equals(data)).toBe(true);
  return handle.origin;
}

/** Files in the cache besides its index: nothing else may stay behind. */
async function contents(dir = cache.dir): Promise<string[]> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  return names
    .filter((name) => !name.isDirectory() && name.name !== 'index.json')
    .map(({ name }) => name)
    .sort();
}

const failure = (promise: Promise<unknown>): Promise<TsbuilderError> =>
  promise.then(
    () => expect.fail('did not fail'),
    (error: unknown) => error as TsbuilderError,
  );

describe('template cache', () => {
  it('downloads once, then serves from the cache', async () => {
    expect(await cache.lookup(entry)).toBeUndefined();
    expect(await use(entry)).toBe('download');
    expect(await use(entry)).toBe('cache');
    expect(await use(entry, { offline: true })).toBe('cache');
    expect(server.requests).toHaveLength(1);
    expect(await contents()).toEqual([SHA512]);
    expect(await cache.lookup(entry)).toBe(join(cache.dir, 'sha512', SHA512));
    expect((await stat(cache.dir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(cache.dir, 'sha512', SHA512))).mode & 0o777).toBe(0o600);
  });

  it('goes by content: another name, URL or source with the same checksum is the same file', async () => {
    await use(entry);
    const source = { ...entry.source, uri: 'http://elsewhere/index' };
    expect(await use({ ...entry, name: 'other', url: 'http://127.0.0.1:1/x', revision: '7', source })).toBe(
      'cache',
    );
  });

  it('uses a local file in place', async () => {
    const path = join(folder.path, 't.xz');
    await writeFile(path, DATA);
    expect(await use({ ...entry, url: path })).toBe('local');
    expect(await use({ ...entry, url: `file://${path}` }, { offline: true })).toBe('local');
    expect(existsSync(cache.dir)).toBe(false);
    await writeFile(path, randomBytes(DATA.length));
    const error = await failure(use({ ...entry, url: path }));
    expect(error).toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH', details: { origin: 'local' } });
    expect(isCacheDamage(error)).toBe(false);
    expect(existsSync(path)).toBe(true);
  });

  it('lets readers in while the file arrives', async () => {
    server.fault = (request) => (request.headers.range === undefined ? { hangAfter: 100_000 } : undefined);
    await using handle = await cache.fetch(entry, { ...options, http: { ...FAST, stallMs: 500 } });
    expect(DATA.subarray(0, 90_000).equals(await handle.source.read(0, 90_000))).toBe(true);
    expect(DATA.subarray(-10).equals(await handle.indexSource.read(DATA.length - 10, 10))).toBe(true);
    expect(await cache.lookup(entry)).toBeUndefined();
    await handle.verify();
    expect(await contents()).toEqual([SHA512]);
  });

  it('keeps nothing that was not verified', async () => {
    await using handle = await cache.fetch(entry, options);
    await handle.source.read(0, handle.source.size);
    await handle[Symbol.asyncDispose]();
    expect(await cache.lookup(entry)).toBeUndefined();
  });

  it('is offline when told to be', async () => {
    expect(await failure(cache.fetch(entry, { ...options, offline: true }))).toMatchObject({
      code: 'TSB_OFFLINE',
    });
    expect(await failure(cache.fetch(entry, { ...options, offline: true, noCache: true }))).toMatchObject({
      code: 'TSB_OFFLINE',
    });
    expect(server.requests).toEqual([]);
  });

  it('never lets a wrong file in, and prints URL, sizes and both hashes', async () => {
    const wrong = randomBytes(DATA.length);
    server.files['/t.xz'] = { data: wrong };
    const secret = entry.url.replace('http://', 'http://user:secret@');
    const error = await failure(cache.ensure({ ...entry, url: secret }, options));
    expect(error).toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH', details: { origin: 'download' } });
    const found = createHash('sha512').update(wrong).digest('hex');
    for (const part of [entry.url, SHA512, found, '300000 bytes']) expect(error.message).toContain(part);
    expect(JSON.stringify(error) + error.message).not.toContain('secret');
    expect(await contents()).toEqual([]);
    server.files['/t.xz'] = { data: DATA };
    expect(await use(entry)).toBe('download');
  });

  it('calls a file of another length that', async () => {
    server.files['/t.xz'] = { data: DATA.subarray(1) };
    expect(await failure(cache.ensure(entry, options))).toMatchObject({
      code: 'TSB_SIZE_MISMATCH',
      message: expect.stringContaining('is 299999 bytes, its index says 300000') as string,
    });
    expect(await contents()).toEqual([]);
  });

  it('believes a checksum more than a length', async () => {
    expect(await use({ ...entry, compressedSize: 5 })).toBe('download');
  });

  it.each([{ status: 404 }, { status: 403 }, { headers: { 'content-encoding': 'gzip' } }])(
    'leaves nothing behind when the server fails (%j)',
    async (fault) => {
      server.fault = () => fault;
      await expect(cache.fetch(entry, options)).rejects.toMatchObject({ exit: 6 });
      expect(await contents()).toEqual([]);
    },
  );

  it('refuses a file that is far longer than the disk in it', async () => {
    server.files['/t.xz'] = { data: Buffer.alloc(66 * 1024 * 1024), length: false };
    const small = { ...entry, size: 1000, compressedSize: 1000 };
    await expect(cache.fetch(small, options)).rejects.toMatchObject({ code: 'TSB_SIZE_MISMATCH' });
    expect(await contents()).toEqual([]);
  });

  it('knows the SHA-256 of simplestreams', async () => {
    const sha256 = createHash('sha256').update(DATA).digest('hex');
    const streams = { ...entry, sha512: undefined, sha256 };
    expect(await use(streams)).toBe('download');
    expect(await use(streams)).toBe('cache');
    expect(server.requests).toHaveLength(1);
    const other = { ...streams, sha256: '0'.repeat(64) };
    expect(await failure(cache.ensure(other, options))).toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH' });
    expect(await contents()).toEqual([SHA512]);
  });

  it('stores the time of use', async () => {
    await use(entry);
    const path = join(cache.dir, 'sha512', SHA512);
    await utimes(path, new Date(0), new Date(0));
    await use(entry);
    expect((await stat(path)).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
  });

  it('does without its index when that is damaged', async () => {
    await use(entry);
    await writeFile(join(cache.dir, 'index.json'), '{"entries":[{"sha512":"../../etc/passwd"}, 5');
    expect(await use(entry)).toBe('cache');
    expect(await cache.list()).toMatchObject([{ sha512: SHA512, name: undefined }]);
  });

  it('never makes a path from names', async () => {
    const hostile = { ...entry, name: '../../evil', arch: '/../pwned', revision: '../x' };
    const source = { ...entry.source, checked: false };
    await use({ ...hostile, sha512: undefined, source });
    await use({ ...hostile, sha512: '../../../../evil' }).catch(() => undefined);
    expect(await contents()).toEqual([SHA512]);
    expect(await readdir(folder.path)).toEqual(['cache']);
  });
});

describe('template without a checksum', () => {
  const unchecked = (): TemplateEntry => ({
    ...entry,
    sha512: undefined,
    source: { ...entry.source, checked: false },
  });

  it('is used again as long as the server has the same version', async () => {
    expect(await use(unchecked())).toBe('download');
    expect(await use(unchecked())).toBe('cache');
    expect(await use(unchecked(), { offline: true })).toBe('cache');
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=0-511']);
    server.files['/t.xz'] = { data: DATA, etag: '"new"' };
    expect(await use(unchecked())).toBe('download');
  });

  it('is fetched every time from a server without validators', async () => {
    server.files['/t.xz'] = { data: DATA, etag: null };
    expect(await use(unchecked())).toBe('download');
    expect(await use(unchecked())).toBe('download');
  });

  it('is not shared between sources', async () => {
    await use(unchecked());
    const other = { ...unchecked(), source: { ...entry.source, uri: 'http://evil/index' } };
    expect(await cache.lookup(other)).toBeUndefined();
    expect(await cache.lookup(unchecked())).toBeDefined();
  });

  it('must have the length that its index says', async () => {
    server.files['/t.xz'] = { data: DATA.subarray(10) };
    expect(await failure(cache.ensure(unchecked(), options))).toMatchObject({ code: 'TSB_SIZE_MISMATCH' });
  });

  it('goes through its detached signature every time', async () => {
    const verifyDetached = vi.fn(async (path: string) => {
      expect(DATA.equals(await readFile(path))).toBe(true);
    });
    await use(unchecked(), { verifyDetached });
    await use(unchecked(), { verifyDetached });
    expect(verifyDetached).toHaveBeenCalledTimes(2);
    const bad = new TsbuilderError('TSB_SIGNATURE_BAD', 'bad signature');
    const refuse = (): Promise<void> => Promise.reject(bad);
    expect(await failure(use(unchecked(), { verifyDetached: refuse }))).toBe(bad);
    expect(await cache.lookup(unchecked())).toBeUndefined();
    expect(await failure(use(unchecked(), { verifyDetached: refuse }))).toBe(bad);
    expect(await cache.lookup(unchecked())).toBeUndefined();
  });
});

describe('signed template', () => {
  it('without checksum and signature is refused when its source is checked', async () => {
    const error = await failure(cache.fetch({ ...entry, sha512: undefined }, options));
    expect(error).toMatchObject({ code: 'TSB_INDEX_UNSIGNED', exit: 4 });
    expect(server.requests).toEqual([]);
  });

  it('is checked by the key that signed its index', async () => {
    const openpgp = await import('openpgp');
    const make = (): Promise<{ privateKey: PrivateKey; publicKey: PublicKey }> =>
      openpgp.generateKey({
        userIDs: [{ name: 'test' }],
        format: 'object',
        date: new Date(Date.now() - 60_000),
      });
    const [good, evil] = [await make(), await make()];
    const keyFile = join(folder.path, 'key.asc');
    await writeFile(keyFile, good.publicKey.armor());
    const sign = async (signingKeys: PrivateKey): Promise<Uint8Array> => {
      const message = await openpgp.createMessage({ binary: DATA });
      return Buffer.from(await openpgp.sign({ message, signingKeys, detached: true }));
    };
    const source = { ...entry.source, keyFile, fingerprint: good.publicKey.getFingerprint() };
    const signed = { ...entry, sha512: undefined, sigUrl: `${server.url}/t.xz.sig`, source };
    server.files['/t.xz.sig'] = { data: await sign(evil.privateKey) };
    expect(await failure(cache.ensure(signed, options))).toMatchObject({ code: 'TSB_SIGNATURE_WRONG_KEY' });
    expect(await contents()).toEqual([]);
    server.files['/t.xz.sig'] = { data: await sign(good.privateKey) };
    expect(await use(signed)).toBe('download');
    expect(await use(signed)).toBe('cache');
    expect(await use(signed, { offline: true })).toBe('cache');
    const unchecked = { ...signed, source: { ...source, checked: false } };
    expect(await cache.lookup(unchecked)).toBeUndefined();
  });
});

describe('damaged cache', () => {
  it('sets a bad file aside and fetches it again once', async () => {
    await use(entry);
    const path = join(cache.dir, 'sha512', SHA512);
    await writeFile(path, randomBytes(DATA.length));
    const error = await failure(
      (async () => {
        await using handle = await cache.fetch(entry, options);
        await handle.verify();
      })(),
    );
    expect(error).toMatchObject({ code: 'TSB_CHECKSUM_MISMATCH', details: { origin: 'cache', path } });
    expect((error as Error).message).toMatch(new RegExp(`^${path}: the SHA-512 is wrong`));
    expect(isCacheDamage(error)).toBe(true);
    expect(await readdir(join(cache.dir, 'quarantine'))).toHaveLength(1);
    expect(await use(entry)).toBe('download');

    await truncate(path, 1000);
    expect(await cache.ensure(entry, options)).toBe(path);
    expect(warnings).toEqual([expect.stringContaining('fetching it again')]);
    expect(DATA.equals(await readFile(path))).toBe(true);
    expect(server.requests).toHaveLength(3);
  });

  it('starts from zero, once, when a resumed file fails its checksum', async () => {
    server.fault = () => ({ hangAfter: 100_000 });
    const handle = await cache.fetch(entry, options);
    await handle.source.read(0, 100_000);
    await handle[Symbol.asyncDispose]();
    const partial = join(cache.dir, 'partial', SHA512);
    expect((await stat(partial)).size).toBe(100_000);
    await writeFile(partial, randomBytes(100_000));
    server.fault = () => undefined;
    server.requests.length = 0;
    await cache.ensure(entry, options);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual(['bytes=100000-', undefined]);
    expect(await contents()).toEqual([SHA512]);
  });

  it('resumes what a killed process left, and takes its lock', async () => {
    await use(entry);
    await cache.clear();
    const dead = formatIdentity({ ...ownIdentity(), startTime: '1' });
    await symlink(`0123456789abcdef:${dead}:host`, join(cache.dir, 'locks', `${SHA512}.lock`));
    server.fault = () => ({ hangAfter: 100_000 });
    const child = startChild('fetch-child', [cache.dir, JSON.stringify(entry)]);
    const partial = join(cache.dir, 'partial', SHA512);
    await expect
      .poll(
        () =>
          stat(partial).then(
            ({ size }) => size,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(100_000);
    child.child.kill('SIGKILL');
    await child.ended;
    server.fault = () => undefined;
    expect(await use(entry)).toBe('download');
    expect(server.requests.at(-1)?.headers.range).toBe('bytes=100000-');
    expect(await contents()).toEqual([SHA512]);
  });
});

describe('without a cache', () => {
  beforeEach(() => vi.stubEnv('TMPDIR', folder.path));
  afterEach(() => vi.unstubAllEnvs());

  it('keeps nothing', async () => {
    expect(await use(entry, { noCache: true })).toBe('download');
    expect(await use(entry, { noCache: true })).toBe('download');
    expect(await readdir(folder.path)).toEqual([]);
    server.fault = () => ({ status: 404 });
    await expect(cache.fetch(entry, { ...options, noCache: true })).rejects.toMatchObject({
      code: 'TSB_HTTP_STATUS',
    });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('removes what killed processes left, and not what living ones use', async () => {
    const dead = formatIdentity({ ...ownIdentity(), startTime: '1' });
    for (const [name, identity] of [
      ['dead', dead],
      ['alive', formatIdentity(ownIdentity())],
    ] as const) {
      const left = join(folder.path, `tsbuilder-download-${name}`);
      await mkdir(left);
      await symlink(`0123456789abcdef:${identity}:host`, join(left, 'owner'));
      await writeFile(join(left, 'partial'), 'x');
    }
    await mkdir(join(folder.path, 'tsbuilder-download-new'));
    await use(entry, { noCache: true });
    expect((await readdir(folder.path)).sort()).toEqual([
      'tsbuilder-download-alive',
      'tsbuilder-download-new',
    ]);
  });

  it('carries on with a warning when the cache cannot be written', async () => {
    await writeFile(join(folder.path, 'file'), '');
    cache = openTemplateCache(join(folder.path, 'file', 'cache'));
    expect(await use(entry)).toBe('download');
    expect(warnings).toEqual([expect.stringContaining('cannot be used')]);
    expect(await failure(cache.ensure(entry, options))).toMatchObject({ code: 'TSB_IO' });
  });

  it('says so when the disk is full, and leaves nothing', async () => {
    server.files['/long'] = { data: DATA, length: false };
    const disk = join(folder.path, 'disk');
    await mkdir(disk);
    const entries = [entry, { ...entry, url: `${server.url}/long` }].map((wanted) => JSON.stringify(wanted));
    const child = join(import.meta.dirname, '../helpers/fetch-child.ts');
    const runs = entries.map((json) => `"$0" --import tsx ${child} ${disk} '${json}'; find ${disk} -type f`);
    // In namespaces of its own, so that it needs no privilege and leaves nothing mounted.
    const script = `mount -t tmpfs -o size=128k tmpfs ${disk}; ${runs.join('; ')}; true`;
    const { stdout, stderr } = await exec('unshare', ['-Urm', 'sh', '-c', script, process.execPath]);
    expect(stderr.match(/code: 'TSB_NO_SPACE'/g)).toHaveLength(2);
    expect(stdout).toBe('');
  });
});

describe('many processes', () => {
  it('download once, and the others wait and reuse', async () => {
    server.fault = () => ({ slowMs: 100 });
    const children = Array.from({ length: 20 }, () =>
      startChild('fetch-child', [cache.dir, JSON.stringify(entry)]),
    );
    const results = await Promise.all(children.map(({ ended }) => ended));
    expect(results.map(({ stderr }) => stderr).join('')).toBe('');
    expect(results.filter(({ stdout }) => stdout === 'download')).toHaveLength(1);
    expect(results.filter(({ stdout }) => stdout === 'cache')).toHaveLength(19);
    expect(server.requests).toHaveLength(1);
    expect(await contents()).toEqual([SHA512]);
  });

  it('take over when the one that downloads gives up', async () => {
    server.fault = (_, count) => (count === 0 ? { hangAfter: 100_000 } : undefined);
    const first = await cache.fetch(entry, { ...options, http: { ...FAST, stallMs: 30_000 } });
    await first.source.read(0, 100_000);
    const second = use(entry);
    await expect.poll(() => warnings).toEqual([expect.stringContaining('waiting for it')]);
    await first[Symbol.asyncDispose]();
    expect(await second).toBe('download');
    expect(server.requests.at(-1)?.headers.range).toBe('bytes=100000-');
  });

  it('stop waiting when they are told to', async () => {
    await use(entry);
    await cache.clear();
    await using lock = await acquireLock(join(cache.dir, 'locks', `${SHA512}.lock`));
    const controller = new AbortController();
    const waiting = failure(cache.fetch(entry, { ...options, signal: controller.signal }));
    await sleep(20);
    controller.abort(new Error('enough'));
    expect(await waiting).toMatchObject({ message: 'enough' });
    expect(lock.lost.aborted).toBe(false);
  });
});

describe('cache care', () => {
  const second = randomBytes(1000);
  let other: TemplateEntry;
  beforeEach(async () => {
    server.files['/o.xz'] = { data: second };
    other = templateEntry(`${server.url}/o.xz`, second, { name: 'other' });
    await cache.ensure(other, options);
    await cache.ensure(entry, options);
  });

  it('lists what is there', async () => {
    const source = 'http://localhost/index.asc';
    const list = await cache.list();
    expect(list).toMatchObject([
      {
        name: 'debian-12',
        arch: 'x86_64',
        revision: '1',
        source,
        url: entry.url,
        sha512: SHA512,
        size: DATA.length,
      },
      { name: 'other', size: second.length },
    ]);
    expect(await openTemplateCache(join(folder.path, 'none')).list()).toEqual([]);
  });

  it('verifies everything and sets bad files aside', async () => {
    const path = join(cache.dir, 'sha512', SHA512);
    await truncate(path, 5);
    const seen: string[] = [];
    const verdicts = await cache.verify({ onDone: ({ sha512 }) => seen.push(sha512) });
    expect(seen).toHaveLength(2);
    expect(verdicts.filter(({ ok }) => ok)).toMatchObject([{ name: 'other' }]);
    expect(verdicts.filter(({ ok }) => !ok)).toMatchObject([{ name: 'debian-12', sha512: SHA512 }]);
    expect(await cache.list()).toMatchObject([{ name: 'other' }]);
    expect(await readdir(join(cache.dir, 'quarantine'))).toHaveLength(1);
    expect((await cache.gc()).map(({ reason }) => reason)).toEqual(['quarantine']);
    expect(await contents()).toEqual([other.sha512]);
  });

  it('collects by age, by size and what no entry refers to', async () => {
    expect(await cache.gc({})).toEqual([]);
    expect(await cache.gc({ referenced: [entry, other] })).toEqual([]);
    const dry = await cache.gc({ referenced: [other], dryRun: true });
    expect(dry).toMatchObject([{ name: 'debian-12', size: DATA.length, reason: 'unreferenced' }]);
    expect(await cache.list()).toHaveLength(2);
    expect(await cache.gc({ maxBytes: 5000 })).toMatchObject([{ name: 'debian-12', reason: 'size' }]);
    const old = new Date(Date.now() - 10_000);
    await utimes(join(cache.dir, 'sha512', other.sha512 ?? ''), old, old);
    expect(await cache.gc({ maxAgeMs: 60_000 })).toEqual([]);
    expect(await cache.gc({ maxAgeMs: 5000 })).toMatchObject([{ name: 'other', reason: 'age' }]);
    expect(await contents()).toEqual([]);
  });

  it('does not take a file from a build that reads it', async () => {
    await using handle = await cache.fetch(entry, options);
    await cache.clear();
    expect(DATA.equals(await handle.source.read(0, DATA.length))).toBe(true);
    await handle.verify();
    expect(await cache.lookup(entry)).toBeUndefined();
  });

  it('removes partial downloads unless somebody works on them', async () => {
    const partial = (key: string): string => join(cache.dir, 'partial', key);
    await writeFile(partial('aa'), 'x');
    await writeFile(partial('aa.json'), '{}');
    await writeFile(partial('bb'), 'x');
    await using lock = await acquireLock(join(cache.dir, 'locks', 'bb.lock'));
    expect(await cache.gc()).toEqual([]);
    const removed = await cache.gc({ partials: true });
    expect(removed.map(({ path, reason }) => [basename(path), reason])).toEqual([['aa', 'partial']]);
    expect(await readdir(join(cache.dir, 'partial'))).toEqual(['bb']);
    expect(lock.lost.aborted).toBe(false);
    const old = new Date(Date.now() - 8 * 86_400_000);
    await writeFile(partial('cc.import'), 'x');
    await utimes(partial('cc.import'), old, old);
    expect(await cache.gc()).toHaveLength(1);
  });

  it('clears its own files and nothing else', async () => {
    await writeFile(join(cache.dir, 'precious'), 'x');
    const removed = await cache.clear();
    expect(removed.map(({ reason }) => reason)).toEqual(['cleared', 'cleared']);
    expect(await contents()).toEqual(['precious']);
    expect(await cache.list()).toEqual([]);
    expect(await use(entry)).toBe('download');
  });

  it('imports a file that is what the index says', async () => {
    await cache.clear();
    const file = join(folder.path, 'from-usb.xz');
    await writeFile(file, DATA);
    expect(await cache.importFile(file, entry)).toBe(join(cache.dir, 'sha512', SHA512));
    server.requests.length = 0;
    expect(await use(entry)).toBe('cache');
    expect(server.requests).toEqual([]);
    expect(await failure(cache.importFile(file, other))).toMatchObject({
      code: 'TSB_SIZE_MISMATCH',
      details: { origin: 'local' },
    });
    expect(await failure(cache.importFile(`${file}x`, entry))).toMatchObject({ code: 'TSB_NOT_FOUND' });
    expect(await contents()).toEqual([SHA512]);
    expect(existsSync(file)).toBe(true);
  });

  it('finds the entry of a file by its checksum', async () => {
    const file = join(folder.path, 'from-usb.xz');
    await writeFile(file, second);
    const bySha256 = {
      ...other,
      sha512: undefined,
      sha256: createHash('sha256').update(second).digest('hex'),
    };
    expect(await findEntryOfFile(file, [entry, other])).toBe(other);
    expect(await findEntryOfFile(file, [entry, bySha256])).toBe(bySha256);
    expect(await failure(findEntryOfFile(file, [entry]))).toMatchObject({ code: 'TSB_NOT_FOUND' });
  });

  it('keeps what was used last when there is too little room', () => {
    const item = (sha512: string, size: number, usedAt: number): CachedTemplate => ({
      ...{ name: sha512, arch: undefined, revision: undefined, source: undefined, url: undefined },
      ...{ sha512, size, usedAt, path: `/cache/${sha512}` },
    });
    const items = [item('a', 5, 30), item('b', 6, 20), item('c', 3, 10)];
    expect(chooseContent(items, { maxBytes: 8 }, undefined).map(({ name }) => name)).toEqual(['b']);
    expect(chooseContent(items, { maxBytes: 0 }, undefined)).toHaveLength(3);
    expect(chooseContent(items, { maxBytes: 14 }, undefined)).toEqual([]);
    expect(chooseContent(items, {}, new Set(['a'])).map(({ reason }) => reason)).toEqual([
      'unreferenced',
      'unreferenced',
    ]);
  });
});
