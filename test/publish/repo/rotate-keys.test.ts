import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { readKeyring } from '../../../src/index-repo/keyring.js';
import { verifyClearsigned } from '../../../src/index-repo/signature.js';
import { listRepository, signAgain } from '../../../src/publish/repo/change-repository.js';
import { initRepository } from '../../../src/publish/repo/init-repository.js';
import { keptKeyPath, repositorySigners } from '../../../src/publish/repo/open-signers.js';
import { type KeyChange, changedSigners } from '../../../src/publish/repo/rotate-keys.js';
import { type Gnupg, newGnupg } from '../../helpers/gnupg.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

let gnupg: Gnupg;
beforeAll(async () => {
  gnupg = await newGnupg();
});
afterAll(() => gnupg[Symbol.asyncDispose]());

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let dir: string;
let old: string;
beforeEach(async () => {
  folder = await scratchFolder();
  dir = join(folder.path, 'repo');
  vi.stubEnv('TSBUILDER_DATA_DIR', join(folder.path, 'data'));
  vi.stubEnv('GNUPGHOME', join(folder.path, 'no-gnupg'));
  old = (await initRepository({ ...request(), dir })).fingerprint;
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

const request = (keys: readonly string[] = []) => ({
  ...{ keys, gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) },
});
const at = (name: string): string => join(dir, name);
const names = (): string[] => readdirSync(dir).sort();
const own = (fingerprint: string): string => `index-${fingerprint.slice(-16).toLowerCase()}.asc`;

async function change(how: KeyChange): Promise<string[]> {
  const { signers, formerKeys } = await changedSigners(dir, how, request());
  await signAgain({ dir, keep: 1, signers, formerKeys });
  return signers.map(({ fingerprint }) => fingerprint);
}

/** Who signed an index, by the keys in the key file. */
async function signerOf(name: string): Promise<string> {
  const keys = await readKeyring(readFileSync(at('key.asc')), 'key.asc');
  return (await verifyClearsigned(readFileSync(at(name)), { name, keys })).primaryFingerprint.toUpperCase();
}

async function keyFile(): Promise<string[]> {
  const keys = await readKeyring(readFileSync(at('key.asc')), 'key.asc');
  return keys.map((key) => key.getFingerprint().toUpperCase());
}

describe('a new key', () => {
  it('has an index of its own until the old one is retired', async () => {
    const [added = ''] = await change({ newKey: 'generate' });
    expect(await keyFile()).toEqual([added, old]);
    expect(names()).toEqual([own(added), 'index.asc', 'key.asc'].sort());
    expect([await signerOf('index.asc'), await signerOf(own(added))]).toEqual([old, added]);
    await change({ retire: old });
    expect(await keyFile()).toEqual([added]);
    expect([await signerOf('index.asc'), await signerOf(own(added))]).toEqual([added, added]);
  });

  it('is refused when it is there already', async () => {
    await expect(change({ newKey: keptKeyPath(old) })).rejects.toMatchObject({ code: 'TSB_USAGE' });
    expect(await keyFile()).toEqual([old]);
  });

  it('is not made for an index that something else has changed', async () => {
    writeFileSync(
      at('index.asc'),
      readFileSync(at('index.asc'), 'utf8').replace('SHA512\n\n', 'SHA512\n\n#\n'),
    );
    await expect(change({ newKey: 'generate' })).rejects.toMatchObject({ code: 'TSB_SIGNATURE_BAD' });
    expect(readdirSync(join(folder.path, 'data', 'keys'))).toHaveLength(1);
  });
});

describe('a key that is lost', () => {
  it('stops every change but the one that retires it', async () => {
    const [added = ''] = await change({ newKey: 'generate' });
    rmSync(keptKeyPath(old));
    await expect(repositorySigners(dir, request())).rejects.toMatchObject({
      ...{ code: 'TSB_KEY_INVALID', hint: expect.stringContaining('--retire') as string },
    });
    await change({ retire: old });
    expect([await keyFile(), await signerOf('index.asc')]).toEqual([[added], added]);
    expect(await repositorySigners(dir, request())).toHaveLength(1);
  });

  it('can be the new one', async () => {
    const [added = ''] = await change({ newKey: 'generate' });
    rmSync(keptKeyPath(added));
    await change({ retire: added });
    expect([await keyFile(), await signerOf('index.asc'), names()]).toEqual([
      ...[[old], old, ['index.asc', 'key.asc']],
    ]);
  });

  it('can be the only one, when another comes at once', async () => {
    rmSync(keptKeyPath(old));
    await expect(change({ retire: old })).rejects.toMatchObject({ code: 'TSB_USAGE' });
    const [added = ''] = await change({ newKey: 'generate', retire: old });
    expect([await keyFile(), await signerOf('index.asc')]).toEqual([[added], added]);
    expect(await listRepository(dir)).toMatchObject({ signedBy: added, keys: [added] });
  });

  it('is not given up by the name of another', async () => {
    rmSync(keptKeyPath(old));
    const other = 'AB'.repeat(20);
    await expect(change({ retire: other })).rejects.toMatchObject({ code: 'TSB_USAGE' });
    await expect(change({ retire: old.slice(-16) })).rejects.toMatchObject({ code: 'TSB_USAGE' });
  });
});

describe('a key that has expired', () => {
  it('is replaced, and what it signed while it held counts', async () => {
    const expired = gnupg.makeKey('expired', { expires: '30d' });
    writeFileSync(at('key.asc'), readFileSync(expired.public));
    const then = ['--faked-system-time', '20250110T000000!', '--local-user', expired.fingerprint];
    writeFileSync(
      at('index.asc'),
      gnupg.gpg([...then, '--clearsign'], '[kept]\nfile=kept.xz\narch=x86_64\nsize=1\n\n'),
    );
    await expect(repositorySigners(dir, request([expired.secret]))).rejects.toMatchObject({
      ...{ code: 'TSB_KEY_INVALID', message: expect.stringContaining('expired on 2025-01-31') as string },
    });
    const [added = ''] = await change({ newKey: 'generate', retire: expired.fingerprint });
    expect([await keyFile(), await signerOf('index.asc')]).toEqual([[added], added]);
    expect(readFileSync(at('index.asc'), 'utf8')).toContain('[kept]');
  });
});

describe('the writers', () => {
  it('notice that the keys have changed since they opened theirs', async () => {
    const stale = await repositorySigners(dir, request());
    const [added = ''] = await change({ newKey: 'generate' });
    const writing = signAgain({ dir, keep: 1, signers: stale });
    await expect(writing).rejects.toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
    expect(await keyFile()).toEqual([added, old]);
  });

  it('begin on what a stopped change of keys has left', async () => {
    const before = readFileSync(at('key.asc'));
    const [added = ''] = await change({ newKey: 'generate' });
    const both = readFileSync(at('key.asc'));
    // Stopped when the key file was written, and no index yet.
    rmSync(at(own(added)));
    const signers = await repositorySigners(dir, request());
    await signAgain({ dir, keep: 1, signers });
    expect(await signerOf(own(added))).toBe(added);
    // Stopped when all indexes were written, and not the key file.
    await change({ retire: old });
    writeFileSync(at('key.asc'), both);
    expect(await signerOf('index.asc')).toBe(added);
    rmSync(keptKeyPath(old));
    await change({ retire: old });
    expect([await keyFile(), await signerOf('index.asc')]).toEqual([[added], added]);
    expect(before.toString()).not.toBe(readFileSync(at('key.asc'), 'utf8'));
  });
});
