import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exec } from '../../src/io/exec.js';
import { silentProgress } from '../../src/progress.js';
import type { SourceConfig } from '../../src/index-repo/source-config.js';
import { parseSourceConf } from '../../src/index-repo/source-conf.js';
import { trustedKeys } from '../../src/index-repo/source-keys.js';
import { SHIPPED_SOURCES, loadSources } from '../../src/index-repo/sources.js';
import { KEYS, fixtureKeys } from '../helpers/signed-fixtures.js';

let root: string;
let warnings: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sources-'));
  warnings = [];
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const load = (options = {}, env = {}): Promise<SourceConfig[]> =>
  loadSources({
    progress: { ...silentProgress, warn: (message) => warnings.push(message) },
    env: { HOME: join(root, 'home'), ...env },
    systemFolder: join(root, 'etc'),
    ...options,
  });
const USER = 'home/.config/tsbuilder/repos.d';
const conf = (id: string, uri = `https://${id}.example.org/index.asc`, more = ''): string =>
  `[${id}]\nuri=${uri}\ngpgkey=file:///k.asc\n${more}`;

describe('loadSources', () => {
  it('has the shipped source, whose key exists', async () => {
    const [shipped, ...others] = await load();
    expect(others).toEqual([]);
    expect(shipped).toMatchObject({
      name: 'libguestfs.org',
      uri: 'https://builder.libguestfs.org/index.asc',
      keyFiles: [join(SHIPPED_SOURCES, 'libguestfs.asc')],
    });
    const keys = await trustedKeys(shipped!);
    expect(keys.map((key) => key.getFingerprint())).toEqual(['f7774fb1ad074a7e8c8767ea91738f73e1b768a0']);
  });

  it('reads the folders in order', async () => {
    put(`${USER}/b.conf`, conf('user-b'));
    put(`${USER}/a.conf`, conf('user-a'));
    put('etc/tsbuilder/repos.d/c.conf', conf('system'));
    put('home/.config/virt-builder/repos.d/d.conf', conf('user-virt'));
    put('etc/virt-builder/repos.d/e.conf', conf('system-virt'));
    put(`${USER}/readme.txt`, conf('not-read'));
    const names = (await load()).map(({ name }) => name);
    expect(names).toEqual(['user-a', 'user-b', 'system', 'user-virt', 'system-virt', 'libguestfs.org']);
    expect(warnings).toEqual([]);
  });

  it('follows XDG_CONFIG_HOME and VIRT_BUILDER_DIRS', async () => {
    put('config/tsbuilder/repos.d/a.conf', conf('xdg'));
    put('v1/virt-builder/repos.d/a2.conf', conf('v1'));
    put('v2/virt-builder/repos.d/a3.conf', conf('v2'));
    put('etc/virt-builder/repos.d/e.conf', conf('not-read'));
    const env = {
      XDG_CONFIG_HOME: join(root, 'config'),
      VIRT_BUILDER_DIRS: `${join(root, 'v1')}:${join(root, 'v2')}`,
    };
    expect((await load({}, env)).map(({ name }) => name)).toEqual(['xdg', 'v1', 'v2', 'libguestfs.org']);
  });

  it('masks by file name, id and location', async () => {
    put(`${USER}/same.conf`, conf('first'));
    put('etc/tsbuilder/repos.d/same.conf', conf('masked-by-file'));
    put('etc/tsbuilder/repos.d/other.conf', `${conf('first', 'https://elsewhere/index')}\n${conf('kept')}`);
    put('etc/virt-builder/repos.d/third.conf', conf('same-uri', 'https://first.example.org/index.asc'));
    const sources = await load();
    expect(sources.map(({ name }) => name)).toEqual(['first', 'kept', 'libguestfs.org']);
    expect(sources[0]!.uri).toBe('https://first.example.org/index.asc');
  });

  it('lets a source be disabled by its id', async () => {
    put(`${USER}/off.conf`, '[libguestfs.org]\nenabled=false\n');
    expect(await load()).toEqual([]);
  });

  it('puts the local repository first when it has an index', async () => {
    put('data/repository/index.asc', 'x');
    const env = { TSBUILDER_DATA_DIR: join(root, 'data') };
    expect((await load({}, env))[0]).toEqual({
      name: 'local',
      uri: join(root, 'data/repository/index.asc'),
      format: 'native',
      keyFiles: [join(root, 'data/repository/key.asc')],
      fingerprints: [],
      origin: 'local repository',
    });
    put('home/.local/share/tsbuilder/repository/index.asc', 'x');
    expect((await load())[0]!.uri).toBe(join(root, 'home/.local/share/tsbuilder/repository/index.asc'));
  });

  it('warns about a file that cannot be read, and uses the others', async () => {
    put(`${USER}/bad.conf`, 'uri=x\n');
    put(`${USER}/good.conf`, `${conf('good')}\n[nouri]\ngpgkey=x\n\n[odd]\nuri=http://x\nformat=tarball\n`);
    expect((await load()).map(({ name }) => name)).toEqual(['good', 'libguestfs.org']);
    expect(warnings).toEqual([
      expect.stringMatching(/bad\.conf:1:1: a field before the first/),
      expect.stringMatching(/\[nouri\] has no uri=/),
      expect.stringMatching(/\[odd\]: format "tarball" is neither/),
    ]);
  });
});

describe('--source', () => {
  const good = 'f7774fb1ad074a7e8c8767ea91738f73e1b768a0';
  const other = 'ab'.repeat(20);

  it('takes configured sources by their names, with their own keys', async () => {
    put(`${USER}/first.conf`, conf('first'));
    put('home/.local/share/tsbuilder/repository/index.asc', '');
    expect(await load({ sources: ['first'] })).toEqual([
      expect.objectContaining({
        name: 'first',
        keyFiles: ['/k.asc'],
        origin: join(root, USER, 'first.conf'),
      }),
    ]);
    const mixed = await load({ sources: ['https://x.org/i', 'local'], keys: ['k.asc'] });
    expect(mixed.map(({ name }) => name)).toEqual(['local', 'https://x.org/i']);
    await expect(load({ sources: ['first'], keys: ['k.asc'] })).rejects.toThrow(/but there is none/);
    await expect(load({ sources: ['nobody'] })).rejects.toThrow(/needs --key/);
  });

  it('replaces the configured sources', async () => {
    put(`${USER}/a.conf`, conf('a'));
    const sources = await load({ sources: ['https://u:p@x.org/i?t=1', 'repo/index.asc'], keys: ['k.asc'] });
    expect(sources).toEqual([
      expect.objectContaining({
        name: 'https://x.org/i?...',
        uri: 'https://u:p@x.org/i?t=1',
        keyFiles: [join(process.cwd(), 'k.asc')],
      }),
      expect.objectContaining({ name: 'repo/index.asc', uri: join(process.cwd(), 'repo/index.asc') }),
    ]);
  });

  it('takes one fingerprint for all, or one for each', async () => {
    const of = async (...fingerprints: string[]) =>
      (await load({ sources: ['/a', '/b'], fingerprints })).map((source) => source.fingerprints);
    expect(await of(good.toUpperCase())).toEqual([[good], [good]]);
    expect(await of(good, other)).toEqual([[good], [other]]);
    await expect(of(good, other, good)).rejects.toThrow(/3 fingerprints for 2 sources/);
    await expect(of('12345678')).rejects.toThrow(/not the fingerprint/);
  });

  it('needs a key or a fingerprint, or a clear no', async () => {
    await expect(load({ sources: ['/a'] })).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(await load({ sources: ['/a'], checkSignature: false })).toHaveLength(1);
    await expect(load({ keys: ['/k'] })).rejects.toThrow(/but there is none/);
    await expect(load({ fingerprints: [good] })).rejects.toThrow(/but there is none/);
  });
});

describe('parseSourceConf', () => {
  const source = (text: string) => {
    const [section] = parseSourceConf(text, '/etc/x/repos.d/a.conf');
    if (section?.kind !== 'source') throw new Error('no source');
    return section.source;
  };

  it('reads all keys', () => {
    const text = `[a]\nuri=https://x/i\ngpgkey=file:///k%20.asc\nproxy=off\nformat=simplestreams\nfingerprint=${'AB'.repeat(20)}\nunknown=1\n`;
    expect(source(text)).toEqual({
      name: 'a',
      uri: 'https://x/i',
      format: 'simplestreams',
      proxy: 'off',
      keyFiles: ['/k .asc'],
      fingerprints: ['ab'.repeat(20)],
      origin: '/etc/x/repos.d/a.conf',
    });
  });

  it('takes relative paths from its own folder', () => {
    expect(source('[a]\nuri=../index.asc\ngpgkey=key.asc\n')).toMatchObject({
      uri: '/etc/x/index.asc',
      keyFiles: ['/etc/x/repos.d/key.asc'],
    });
  });

  it.each(['http://x/k.asc', 'https://x/k.asc', 'ftp://x/k', 'hkp://keys/1234', 'data:x'])(
    'makes gpgkey=%s an error of the source, not a missing key',
    (gpgkey) => {
      const found = source(`[a]\nuri=https://x/i\ngpgkey=${gpgkey}\n`);
      expect(found.problem).toMatchObject({ code: 'TSB_KEY_INVALID' });
      expect(found.problem!.message).toContain('must be a local file');
    },
  );

  it('makes a bad location or fingerprint an error of the source', () => {
    expect(source('[a]\nuri=ftp://x/i\n').problem).toMatchObject({ code: 'TSB_USAGE' });
    expect(source('[a]\nuri=http://x/i\nfingerprint=12\n').problem).toMatchObject({ code: 'TSB_USAGE' });
  });
});

describe('trustedKeys', () => {
  const base: SourceConfig = {
    name: 's',
    uri: '/i',
    format: 'native',
    keyFiles: [],
    fingerprints: [],
    origin: 'x.conf',
  };
  const both = [join(KEYS, 'two-keys.asc')];

  it('takes all keys of a file, or those with the fingerprint', async () => {
    const [good] = await fixtureKeys('good');
    expect(await trustedKeys({ ...base, keyFiles: both })).toHaveLength(2);
    const pinned = await trustedKeys({ ...base, keyFiles: both, fingerprints: [good!.getFingerprint()] });
    expect(pinned.map((key) => key.getFingerprint())).toEqual([good!.getFingerprint()]);
  });

  it.each([
    ['no key at all', {}, /no key to check/],
    ['a file that is not there', { keyFiles: ['/missing.asc'] }, /missing\.asc/],
    ['a file that is no key', { keyFiles: [join(KEYS, 'index')] }, /holds no OpenPGP public key/],
    [
      'a fingerprint that is not in the file',
      { keyFiles: both, fingerprints: ['00'.repeat(20)] },
      /no key with fingerprint/,
    ],
  ])('refuses %s', async (_, fields, text) => {
    const error: unknown = await trustedKeys({ ...base, ...fields }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'TSB_KEY_INVALID' });
    expect((error as Error).message).toMatch(text);
  });

  it("finds a key by its fingerprint in the user's keyring", async () => {
    const home = mkdtempSync(join(root, 'gpg-'));
    await exec('gpg', ['--batch', '--quiet', '--homedir', home, '--import', join(KEYS, 'subkey.key.asc')]);
    const [key] = await fixtureKeys('subkey');
    const before = process.env['GNUPGHOME'];
    process.env['GNUPGHOME'] = home;
    try {
      for (const fingerprint of [key!.getFingerprint(), key!.subkeys[0]!.getFingerprint()]) {
        const found = await trustedKeys({ ...base, fingerprints: [fingerprint] });
        expect(found.map((one) => one.getFingerprint())).toEqual([key!.getFingerprint()]);
      }
      await expect(trustedKeys({ ...base, fingerprints: ['00'.repeat(20)] })).rejects.toThrow(
        /keyring has no key/,
      );
    } finally {
      if (before === undefined) delete process.env['GNUPGHOME'];
      else process.env['GNUPGHOME'] = before;
    }
  });
});
