import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey } from 'openpgp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { initRepository } from '../../../src/publish/repo/init-repository.js';
import { type SignerRequest, namedSigners } from '../../../src/publish/repo/open-signers.js';
import { type Gnupg, type GnupgKey, newGnupg } from '../../helpers/gnupg.js';
import { scratchFolder } from '../../helpers/scratch-folder.js';

vi.setConfig({ testTimeout: 60_000 });

const DAY = 86_400_000;

let gnupg: Gnupg;
let one: GnupgKey;
let two: GnupgKey;
beforeAll(async () => {
  gnupg = await newGnupg();
  one = gnupg.makeKey('one');
  two = gnupg.makeKey('two');
  for (const { secret } of [one, two]) chmodSync(secret, 0o600);
});
afterAll(() => gnupg[Symbol.asyncDispose]());

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let warnings: string[];
beforeEach(async () => {
  folder = await scratchFolder();
  warnings = [];
  vi.stubEnv('GNUPGHOME', gnupg.home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

const request = (more: Partial<SignerRequest>): SignerRequest => ({
  ...{ keys: [], gpgKeys: [], passphrase: () => Promise.reject(new Error('not asked for')) },
  ...{ warn: (message) => void warnings.push(message), ...more },
});

/** The fingerprints of the keys in a new file with this content. */
async function open(content: string | Buffer, more: Partial<SignerRequest> = {}): Promise<string[]> {
  const path = join(folder.path, 'key');
  writeFileSync(path, content, { mode: 0o600 });
  return (await namedSigners(request({ keys: [path], ...more }))).map(({ fingerprint }) => fingerprint);
}

describe('a key file', () => {
  it('may have copies of its one secret key, and public keys', async () => {
    const [own, other] = [readFileSync(one.secret, 'utf8'), readFileSync(two.public, 'utf8')];
    expect(await open(`${other}\n${own}\n${own}`)).toEqual([one.fingerprint]);
    expect(warnings).toEqual([]);
  });

  it('has one secret key, not several nor none', async () => {
    const both = `${readFileSync(one.secret, 'utf8')}\n${readFileSync(two.secret, 'utf8')}`;
    const code = 'TSB_KEY_INVALID';
    const refused = (why: string): object => ({ code, message: expect.stringContaining(why) as string });
    await expect(open(both)).rejects.toMatchObject(refused('2 secret keys'));
    await expect(open(readFileSync(one.public))).rejects.toMatchObject(refused('no secret key'));
    await expect(open('')).rejects.toMatchObject(refused('no secret key'));
    await expect(open(Buffer.alloc(1024 ** 2 + 1))).rejects.toMatchObject(refused('more than 1048576 bytes'));
  });

  it('is no stub of a key that is on a card or was left out', async () => {
    const stub = gnupg.gpg(['--armor', '--export-secret-subkeys', one.fingerprint]);
    await expect(open(stub)).rejects.toMatchObject({
      code: 'TSB_KEY_INVALID',
      hint: expect.stringContaining('--gpg-key') as string,
    });
    // GNU mode 2 is a card: its serial number follows (GnuPG's doc/DETAILS).
    const binary = Buffer.from(stub.split(/\n\n|\n=/)[1] ?? '', 'base64');
    const mode = binary.indexOf('GNU\x01') + 3;
    const card = Buffer.concat([binary.subarray(0, mode), Buffer.alloc(18, 16), binary.subarray(mode + 1)]);
    card.writeUInt8(2, mode);
    card.writeUInt8((card[1] ?? 0) + 17, 1);
    await expect(open(card)).rejects.toMatchObject({ message: expect.stringContaining('card') as string });
  });
});

describe('what is told of a key', () => {
  it('is that others can read it', async () => {
    const path = join(folder.path, 'open.asc');
    writeFileSync(path, readFileSync(one.secret), { mode: 0o644 });
    await namedSigners(request({ keys: [path] }));
    expect(warnings).toEqual([expect.stringMatching(/open\.asc: everybody .* chmod 600$/)]);
  });

  it('is that it expires before its signature', async () => {
    const config = { userIDs: [{ name: 'soon' }], keyExpirationTime: (2 * DAY) / 1000 };
    const { privateKey } = await generateKey({ type: 'ecc', curve: 'ed25519Legacy', ...config });
    await open(privateKey, { expiresMs: DAY });
    expect(warnings).toEqual([]);
    await open(privateKey, { expiresMs: 3 * DAY });
    expect(warnings).toEqual([expect.stringMatching(/expires before the signature does$/)]);
  });

  it.each([false, true])('is that GnuPG cannot read it (version 6: %s)', async (v6Keys) => {
    const { privateKey } = await generateKey({
      ...{ type: 'curve25519', userIDs: [{ name: 'new' }], config: { v6Keys } },
    });
    await open(privateKey);
    expect(warnings).toEqual([expect.stringContaining('virt-builder refuses its indexes')]);
  });
});

describe('GnuPG', () => {
  it('says why it has no key at all', async () => {
    vi.stubEnv('GNUPGHOME', join(folder.path, 'missing'));
    await expect(namedSigners(request({ gpgKeys: ['one'] }))).rejects.toMatchObject({
      code: 'TSB_TOOL_FAILED',
      message: expect.stringContaining('missing') as string,
    });
  });

  it('leaves nothing of a repository that it did not sign', async () => {
    gnupg.makeKey('locked', { passphrase: 'x' });
    gnupg.forget();
    const dir = join(folder.path, 'repo');
    const beginning = initRepository({ ...request({ gpgKeys: ['locked'] }), dir });
    await expect(beginning).rejects.toMatchObject({ code: 'TSB_TOOL_FAILED' });
    expect(existsSync(dir)).toBe(false);
  });

  it('signs with the subkey that is named with a !', async () => {
    const unlock = ['--pinentry-mode', 'loopback', '--passphrase', ''];
    for (const kind of ['ed25519', 'rsa2048'])
      gnupg.gpg([...unlock, '--quick-add-key', one.fingerprint, kind, 'sign', 'never']);
    const listed = gnupg.gpg(['--with-colons', '--list-keys', one.fingerprint]);
    const subkeys = [...listed.matchAll(/^sub:.*\nfpr:+([0-9A-F]+):/gm)].map((match) => match[1] ?? '');
    for (const subkey of subkeys) {
      const [signer] = await namedSigners(request({ gpgKeys: [`${subkey}!`] }));
      const path = join(folder.path, 'signed');
      writeFileSync(path, (await signer?.sign('text\n', {})) ?? '');
      expect(gnupg.gpg(['--status-fd', '1', '--verify', path])).toContain(`VALIDSIG ${subkey} `);
    }
    expect(subkeys).toHaveLength(2);
  });
});
