import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { type LoadOptions, type LoadedIndex, loadIndexes } from '../../src/index-repo/load-indexes.js';
import type { SourceConfig } from '../../src/index-repo/source-config.js';
import { silentProgress } from '../../src/progress.js';
import { makeSigner } from '../helpers/make-signer.js';
import { NOW } from '../helpers/signed-fixtures.js';

let root: string;
let server: Map<string, Buffer>;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'streams-'));
  server = new Map();
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const BASE = 'https://cloud.example.org/releases';
const SHA256 = 'AB'.repeat(32);
const disk = (path: string, size = 1000): object => ({ ftype: 'disk1.img', path, size, sha256: SHA256 });
const product = (versions: object, more = {}): object => ({ arch: 'amd64', versions, ...more });
const indexJson = (path = 'streams/v1/products.json'): object => ({
  format: 'index:1.0',
  index: {
    images: { format: 'products:1.0', datatype: 'image-downloads', path },
    ids: { format: 'products:1.0', datatype: 'image-ids', path: 'streams/v1/not-fetched.json' },
  },
});
const put = (path: string, data: object | string): void => {
  server.set(`${BASE}/${path}`, Buffer.from(typeof data === 'string' ? data : JSON.stringify(data)));
};
const putProducts = (products: object): void => {
  put('streams/v1/index.json', indexJson());
  put('streams/v1/products.json', { format: 'products:1.0', products });
};
const load = async (
  fields: Partial<SourceConfig> = {},
  options: Partial<LoadOptions> = {},
): Promise<LoadedIndex> => {
  const source = {
    name: 's',
    uri: BASE,
    format: 'simplestreams' as const,
    keyFiles: [],
    fingerprints: [],
    origin: 'x',
  };
  const [index] = await loadIndexes([{ ...source, ...fields }], {
    progress: silentProgress,
    cacheDir: join(root, 'cache'),
    stateDir: join(root, 'state'),
    now: NOW,
    checkSignature: false,
    fetch: (url) => {
      const data = server.get(url);
      return data
        ? Promise.resolve({ data })
        : Promise.reject(new TsbuilderError('TSB_NETWORK', `404 ${url}`));
    },
    ...options,
  });
  return index!;
};

describe('simplestreams', () => {
  it('takes the newest version with a disk of each product', async () => {
    putProducts({
      'com.example:server:22.04:amd64': product({
        '20240101': { pubname: 'jammy-20240101', items: { 'disk1.img': disk('server/old.img') } },
        '20240101.1': {
          pubname: 'jammy-20240101.1',
          items: { 'disk1.img': disk('server/jammy.img', 5000), 'root.tar.gz': disk('server/x.tar.gz') },
        },
        '20250101': { items: { 'root.tar.gz': disk('server/x.tar.gz') } },
      }),
      'com.example:tar-only': product({ '1': { items: { 'root.tar.gz': disk('a') } } }),
    });
    const { entries } = await load();
    expect(entries).toEqual([
      {
        name: 'com.example-server-22.04-amd64',
        fullName: 'jammy-20240101.1',
        arch: 'amd64',
        url: `${BASE}/server/jammy.img`,
        sha256: SHA256.toLowerCase(),
        sha512: undefined,
        revision: '20240101.1',
        size: 5000,
        compressedSize: 5000,
        notes: {},
        hidden: false,
        aliases: ['com.example:server:22.04:amd64', 'jammy-20240101.1'],
        source: expect.objectContaining({ format: 'simplestreams', checked: false }) as unknown,
      },
    ]);
  });

  it('changes or leaves out names, versions, architectures and paths that are not safe', async () => {
    const good = { '1': { items: { 'disk.img': disk('ok.img') } } };
    putProducts({
      '../../etc/passwd': product(good),
      '\u001b[2J': product(good),
      '...': product(good),
      '': product(good),
      'bad-arch': product(good, { arch: '../x' }),
      'bad-version': product({ '../../9': { items: { 'disk.img': disk('evil.img') } }, ...good }),
      'bad-path': product({ '1': { items: { 'disk.img': disk('../../evil.img') } } }),
      'bad-url': product({ '1': { items: { 'disk.img': disk('https://evil.org/a') } } }),
      'bad-size': product({ '1': { items: { 'disk.img': disk('a', -1) } } }),
      'bad-digest': product({ '1': { items: { 'disk.img': { path: 'a', size: 1, sha256: 'zz' } } } }),
      'other-item': product({ '1': { items: { 'disk.img': 5, 'disk1.img': disk('one.img') } } }),
      'no-items': product({ '1': { items: {} } }),
      __proto__x: product(good),
    });
    const { entries } = await load();
    expect(entries.map(({ name, revision, url }) => [name, revision, url.slice(BASE.length + 1)])).toEqual([
      ['etc-passwd', '1', 'ok.img'],
      ['2J', '1', 'ok.img'],
      ['bad-version', '1', 'ok.img'],
      ['other-item', '1', 'one.img'],
      ['__proto__x', '1', 'ok.img'],
    ]);
    expect(entries[1]!.aliases).toEqual([]);
  });

  it('keeps the first of two products that get one name', async () => {
    const of = (path: string): object => product({ '1': { items: { 'disk.img': disk(path) } } });
    putProducts({ 'a:b': of('first.img'), 'a/b': of('second.img') });
    const { entries } = await load();
    expect(entries.map(({ url }) => url)).toEqual([`${BASE}/first.img`]);
  });

  it.each([
    [
      'no JSON',
      '{"format":\n "index:1.0",,}',
      'TSB_INDEX_SYNTAX',
      'streams/v1/index.json:2:14: this is not JSON',
    ],
    ['half a JSON', '{"format":', 'TSB_INDEX_SYNTAX', 'streams/v1/index.json:1:11: this is not JSON'],
    ['another format', { format: 'index:2.0', index: {} }, 'TSB_INDEX_INVALID', 'format: '],
    [
      'a path that is a number',
      { format: 'index:1.0', index: { a: { path: 5 } } },
      'TSB_INDEX_INVALID',
      'index.a.path: ',
    ],
    ['a path that leads out', indexJson('../products.json'), 'TSB_INDEX_INVALID', 'leads out of the folder'],
  ])('refuses %s', async (_, data, code, text) => {
    put('streams/v1/index.json', data);
    await expect(load()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
  });

  it('reads only signed files when there is a key', async () => {
    const signer = await makeSigner();
    writeFileSync(join(root, 'key.asc'), signer.publicKey);
    const keyFiles = [join(root, 'key.asc')];
    const sign = async (path: string, data: object): Promise<void> => {
      server.set(`${BASE}/${path}`, await signer.sign(JSON.stringify(data, undefined, 1), '2026-02-01'));
    };
    const products = { a: product({ '1': { items: { 'disk.img': disk('a.img') } } }) };
    await sign('streams/v1/index.sjson', indexJson('streams/v1/products.sjson'));
    await sign('streams/v1/products.sjson', { format: 'products:1.0', products });
    const strict = { checkSignature: true };
    const loaded = await load({ keyFiles, uri: `${BASE}/` }, strict);
    expect(loaded.entries.map(({ name }) => name)).toEqual(['a']);
    expect(loaded.source.checked).toBe(true);

    server.delete(`${BASE}/streams/v1/products.sjson`);
    expect((await load({ keyFiles }, strict)).origin).toBe('remembered');
    expect((await load({ keyFiles }, { ...strict, offline: true })).entries).toHaveLength(1);

    put('streams/v1/products.sjson', { format: 'products:1.0', products });
    await expect(load({ keyFiles }, strict)).rejects.toMatchObject({ code: 'TSB_INDEX_UNSIGNED' });
  });
});
