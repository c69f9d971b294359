import { cpSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TsbuilderError } from '../../src/errors.js';
import { silentProgress } from '../../src/progress.js';
import {
  type LoadOptions,
  type LoadedIndex,
  entriesOf,
  failuresOf,
  loadIndexes,
} from '../../src/index-repo/load-indexes.js';
import { noteOfAway } from '../../src/index-repo/away-sources.js';
import { selectTemplate } from '../../src/index-repo/select-template.js';
import type { SourceConfig } from '../../src/index-repo/source-config.js';
import { makeSigner } from '../helpers/make-signer.js';
import { KEYS, NOW, fixture } from '../helpers/signed-fixtures.js';

let root: string;
let warnings: string[];
let server: Map<string, Buffer | TsbuilderError>;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'indexes-'));
  warnings = [];
  server = new Map();
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const URL = 'https://example.org/repo/index.asc';
const OTHER = 'https://other.org/index.asc';
const source = (fields: Partial<SourceConfig> = {}): SourceConfig => ({
  name: 'main',
  uri: URL,
  format: 'native',
  keyFiles: [join(KEYS, 'good.key.asc')],
  fingerprints: [],
  origin: 'a.conf',
  ...fields,
});
const second = (): SourceConfig => source({ name: 'second', uri: OTHER });
const dead = (): TsbuilderError => new TsbuilderError('TSB_NETWORK', 'connection refused');
const load = (sources: SourceConfig[], options: Partial<LoadOptions> = {}): Promise<LoadedIndex[]> =>
  loadIndexes(sources, {
    progress: { ...silentProgress, warn: (message) => warnings.push(message) },
    cacheDir: join(root, 'cache'),
    stateDir: join(root, 'state'),
    now: NOW,
    fetch: (url) => {
      const answer = server.get(url) ?? dead();
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ data: answer });
    },
    ...options,
  });
const tampered = (): Buffer =>
  Buffer.from(fixture('good.asc').toString().replace('revision=3', 'revision=9'));

describe('loadIndexes', () => {
  it('loads a verified index', async () => {
    server.set(URL, fixture('good.asc'));
    const [index] = await load([source()]);
    expect(index!.origin).toBe('fetched');
    expect(index!.createdAt).toEqual(new Date('2026-02-01T00:00:00Z'));
    expect(index!.source).toMatchObject({ name: 'main', checked: true, keyFile: join(KEYS, 'good.key.asc') });
    expect(index!.source.fingerprint).toMatch(/^[0-9a-f]{40}$/);
    expect(entriesOf([index!])).toEqual([
      expect.objectContaining({
        name: 'debian-12',
        revision: '3',
        url: 'https://example.org/repo/debian-12.xz',
        notes: { '': 'Debian 12.\n\n- dashes at the start of a line are kept' },
        source: index!.source,
      }),
    ]);
    expect(warnings).toEqual([]);
  });

  it('names the key file that has the key', async () => {
    server.set(URL, fixture('good.asc'));
    const keyFiles = ['other', 'good', 'rsa'].map((name) => join(KEYS, `${name}.key.asc`));
    const [index] = await load([source({ keyFiles })]);
    expect(index!.source.keyFile).toBe(keyFiles[1]);
  });

  it('loads from a path and a file URL, and keeps no copy of local files', async () => {
    cpSync(join(KEYS, 'good.asc'), join(root, 'index.asc'));
    for (const uri of [join(root, 'index.asc'), `file://${root}/index.asc`]) {
      const [index] = await loadIndexes([source({ uri })], {
        progress: silentProgress,
        cacheDir: join(root, 'cache'),
        stateDir: join(root, 'state'),
        now: NOW,
        offline: true,
      });
      expect(index!.entries[0]!.url).toBe(uri.replace('index.asc', 'debian-12.xz'));
    }
    expect(readdirSync(root)).not.toContain('cache');
  });

  it.each([
    ['tampered', tampered, 'TSB_SIGNATURE_BAD'],
    ['truncated', () => fixture('good.asc').subarray(0, 500), 'TSB_SIGNATURE_BAD'],
    ['unsigned', () => fixture('index'), 'TSB_INDEX_UNSIGNED'],
    ['signed by another', () => fixture('rsa.asc'), 'TSB_SIGNATURE_WRONG_KEY'],
    ['signed and expired', () => fixture('expired-signature.asc'), 'TSB_SIGNATURE_EXPIRED'],
    ['from the future', () => fixture('future.asc'), 'TSB_SIGNATURE_FUTURE'],
  ])('refuses an index that is %s, and never puts a copy in its place', async (_, data, code) => {
    server.set(URL, fixture('good.asc'));
    await load([source()]);
    server.set(URL, data());
    await expect(load([source()])).rejects.toMatchObject({ code });
  });

  it('refuses an index that was rolled back, until that is allowed', async () => {
    server.set(URL, fixture('good-newer.asc'));
    await load([source()]);
    server.set(URL, fixture('good.asc'));
    await expect(load([source()])).rejects.toMatchObject({ code: 'TSB_SIGNATURE_ROLLBACK' });
    expect((await load([source()], { allowRollback: true }))[0]!.entries[0]!.revision).toBe('3');
    expect((await load([source()]))[0]!.entries[0]!.revision).toBe('3');
  });

  it('does not remember the time of an index that cannot be parsed', async () => {
    const signer = await makeSigner();
    writeFileSync(join(root, 'key.asc'), signer.publicKey);
    server.set(URL, await signer.sign('[a', '2026-03-01'));
    const own = source({ keyFiles: [join(root, 'key.asc')] });
    await expect(load([own])).rejects.toMatchObject({ code: 'TSB_INDEX_SYNTAX' });
    server.set(URL, await signer.sign('# nothing yet', '2026-02-15'));
    expect((await load([own]))[0]!.entries).toEqual([]);
  });

  it('accepts a change of keys while both are trusted', async () => {
    const rotating = source({ keyFiles: [join(KEYS, 'two-keys.asc')] });
    server.set(URL, fixture('good.asc'));
    await load([rotating]);
    server.set(URL, fixture('two-signatures.asc'));
    expect((await load([rotating]))[0]!.error).toBeUndefined();
    expect((await load([source({ keyFiles: [join(KEYS, 'other.key.asc')] })]))[0]!.error).toBeUndefined();
  });

  describe('with a source that is away', () => {
    it('uses the copy verified last, and says so', async () => {
      server.set(URL, fixture('good.asc'));
      await load([source()]);
      server.clear();
      const [index] = await load([source()]);
      expect(index!.origin).toBe('remembered');
      expect(index!.entries).toHaveLength(1);
      expect(index!.away).toMatchObject({ message: 'connection refused' });
      expect(noteOfAway([index!])?.text).toBe(
        'source out of reach, using the copy of the index: main (signed 2026-02-01) (--verbose says why)',
      );
      expect(warnings).toEqual([]);
    });

    it('uses the others, and says so', async () => {
      server.set(OTHER, fixture('good.asc'));
      const loaded = await load([source(), second()]);
      expect(loaded.map(({ entries }) => entries.length)).toEqual([0, 1]);
      expect(warnings).toEqual([]);
      expect(noteOfAway(loaded)).toEqual({
        text: 'source not used because out of reach: main (--verbose says why)',
        isNew: true,
      });
    });

    it('tells of all in one line, as news only once an hour', async () => {
      server.set('https://third.org/i', fixture('good.asc'));
      const third = source({ name: 'third', uri: 'https://third.org/i' });
      const note = async () => noteOfAway(await load([source(), second(), third]));
      expect(await note()).toMatchObject({
        text: expect.stringMatching(/^sources not used because out of reach: main, second /) as string,
        isNew: true,
      });
      expect((await note())?.isNew).toBe(false);
      const folder = join(root, 'cache', 'indexes');
      for (const name of readdirSync(folder).filter((one) => one.endsWith('.away')))
        utimesSync(join(folder, name), 0, Date.now() / 1000 - 3700);
      expect((await note())?.isNew).toBe(true);
      server.set(URL, fixture('good.asc'));
      server.set(OTHER, fixture('good.asc'));
      expect(await note()).toBeUndefined();
      expect(readdirSync(folder).filter((one) => one.endsWith('.away'))).toEqual([]);
    });

    it('waits only briefly for one that was away or can be replaced, unless it is the only one', async () => {
      const deadlines: [string, number | undefined][] = [];
      const fetch: LoadOptions['fetch'] = (url, { deadlineMs }) => {
        deadlines.push([url, deadlineMs]);
        const answer = server.get(url);
        return answer instanceof Buffer ? Promise.resolve({ data: answer }) : Promise.reject(dead());
      };
      server.set(OTHER, fixture('good.asc'));
      await load([source(), second()], { fetch });
      await load([source(), second()], { fetch });
      await load([source()], { fetch }).catch(() => undefined);
      expect(deadlines.map(([url, ms]) => `${url} ${ms}`).sort()).toEqual([
        `${URL} 5000`,
        `${URL} undefined`,
        `${URL} undefined`,
        `${OTHER} 5000`,
        `${OTHER} undefined`,
      ]);
    });

    it('fails when all are', async () => {
      await expect(load([source(), second()])).rejects.toMatchObject({ code: 'TSB_NETWORK' });
    });

    it('does not trust a copy that was changed on the disk', async () => {
      server.set(URL, fixture('good.asc'));
      await load([source()]);
      server.clear();
      const folder = join(root, 'cache', 'indexes');
      for (const name of readdirSync(folder)) writeFileSync(join(folder, name), tampered());
      await expect(load([source()])).rejects.toMatchObject({ code: 'TSB_NETWORK' });
      await expect(load([source()], { offline: true })).rejects.toMatchObject({ code: 'TSB_SIGNATURE_BAD' });
    });
  });

  describe('offline', () => {
    it('asks no server', async () => {
      server.set(URL, fixture('good.asc'));
      await load([source()]);
      const fetch = (): never => {
        throw new Error('asked');
      };
      expect((await load([source()], { offline: true, fetch }))[0]!.origin).toBe('remembered');
      await expect(load([second()], { offline: true, fetch })).rejects.toMatchObject({ code: 'TSB_OFFLINE' });
    });

    it('verifies with the keys of today', async () => {
      server.set(URL, fixture('good.asc'));
      await load([source()]);
      const changed = source({ keyFiles: [join(KEYS, 'other.key.asc')] });
      await expect(load([changed], { offline: true })).rejects.toMatchObject({
        code: 'TSB_SIGNATURE_WRONG_KEY',
      });
    });
  });

  it('never uses a source with a bad signature: fatal only for what it alone could have', async () => {
    server.set(URL, tampered());
    server.set(OTHER, fixture('good.asc'));
    const loaded = await load([source(), second()]);
    expect(warnings).toEqual([expect.stringMatching(/source main is not used: .*does not fit/)]);
    const choose = (name: string) =>
      selectTemplate(entriesOf(loaded), { name, arch: 'x86_64', failures: failuresOf(loaded) });
    expect(choose('debian-12')).toMatchObject({ revision: '3', source: { name: 'second' } });
    expect(() => choose('other')).toThrow(expect.objectContaining({ code: 'TSB_SIGNATURE_BAD' }));
  });

  it('puts a bad signature before a dead server when nothing is left', async () => {
    server.set(OTHER, tampered());
    await expect(load([source(), second()])).rejects.toMatchObject({ code: 'TSB_SIGNATURE_BAD' });
  });

  it('refuses a source without a key, and one whose key must not be used', async () => {
    server.set(URL, fixture('good.asc'));
    await expect(load([source({ keyFiles: [] })])).rejects.toMatchObject({ code: 'TSB_KEY_INVALID' });
    const problem = new TsbuilderError('TSB_KEY_INVALID', 'gpgkey over http');
    await expect(load([source({ keyFiles: [], problem })])).rejects.toBe(problem);
  });

  it('needs a source', async () => {
    await expect(load([])).rejects.toMatchObject({ code: 'TSB_NO_SOURCE' });
  });

  it('does not check signatures when told not to', async () => {
    for (const data of [fixture('index'), tampered(), fixture('sha1.asc')]) {
      server.set(URL, data);
      const [index] = await load([source({ keyFiles: [] })], { checkSignature: false });
      expect(index!.source).toMatchObject({ checked: false, fingerprint: undefined });
      expect(index!.entries).toHaveLength(1);
    }
    expect(readdirSync(root)).toEqual([]);
  });

  it('names URL, line and column of an error in the file as it is served', async () => {
    server.set(URL, Buffer.from(fixture('good.asc').toString().replace('arch=x86_64', 'arch=a/b')));
    await expect(load([source()], { checkSignature: false })).rejects.toMatchObject({
      code: 'TSB_INDEX_INVALID',
      message: expect.stringContaining(`${URL}:6:6: `) as string,
    });
  });

  it('works without a folder to remember in, with a warning', async () => {
    writeFileSync(join(root, 'file'), '');
    server.set(URL, fixture('good.asc'));
    const options = { cacheDir: join(root, 'file', 'cache') };
    expect((await load([source()], options))[0]!.entries).toHaveLength(1);
    expect(warnings).toEqual([expect.stringMatching(/cannot be remembered/)]);
  });

  it('stops when aborted', async () => {
    server.set(URL, fixture('good.asc'));
    const controller = new AbortController();
    const fetch = (): Promise<{ data: Uint8Array }> => {
      controller.abort(new TsbuilderError('TSB_INTERRUPTED', 'interrupted'));
      return Promise.reject(dead());
    };
    await expect(load([source()], { fetch, signal: controller.signal })).rejects.toMatchObject({
      code: 'TSB_INTERRUPTED',
    });
  });
});
