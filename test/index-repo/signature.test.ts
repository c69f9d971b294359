import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../../src/io/exec.js';
import type { ErrorCode } from '../../src/errors.js';
import { parseFingerprint, pinKeys, readKeyring } from '../../src/index-repo/keyring.js';
import { verifyClearsigned, verifyDetached } from '../../src/index-repo/signature.js';
import { KEYS, NOW, fixture, fixtureKeys } from '../helpers/signed-fixtures.js';

const INDEX = fixture('index')
  .toString()
  .split('\n')
  .map((line) => line.trimEnd())
  .join('\n')
  .trimEnd();
const NAMES = [
  'good',
  'rsa',
  'subkey',
  'sha1self',
  'oldsubkey',
  'expired',
  'revoked',
  'short',
  'dsa',
  'other',
];

const check = async (data: Buffer | string, ...names: string[]) =>
  verifyClearsigned(Buffer.from(data), { name: 'index.asc', keys: await fixtureKeys(...names), now: NOW });

const refusal = (code: ErrorCode, text: RegExp | string): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(text) as string });

describe('verifyClearsigned', () => {
  it.each(['good', 'rsa', 'subkey', 'sha1self'])('accepts %s and returns the text', async (name) => {
    const [key] = await fixtureKeys(name);
    const result = await check(fixture(`${name}.asc`), name);
    expect(result.text).toBe(INDEX);
    expect(result.primaryFingerprint).toBe(key!.getFingerprint());
    expect(result.createdAt).toEqual(new Date('2026-02-01T00:00:00Z'));
    expect(result.firstLine).toBe(4);
  });

  it('names the subkey that signed', async () => {
    const [key] = await fixtureKeys('subkey');
    const result = await check(fixture('subkey.asc'), 'subkey');
    expect(result.fingerprint).toBe(key!.subkeys[0]!.getFingerprint());
  });

  it('accepts one good signature among several, whichever key is trusted', async () => {
    const [good, other] = await fixtureKeys('good', 'other');
    expect((await check(fixture('two-signatures.asc'), 'good')).fingerprint).toBe(good!.getFingerprint());
    expect((await check(fixture('two-signatures.asc'), 'other')).fingerprint).toBe(other!.getFingerprint());
    await expect(check(fixture('two-signatures.asc'), 'rsa')).rejects.toEqual(
      refusal('TSB_SIGNATURE_WRONG_KEY', /not trusted here/),
    );
  });

  it('accepts CRLF and blank lines around', async () => {
    const crlf = fixture('good.asc').toString().replaceAll('\n', '\r\n');
    expect((await check(`\n \n${crlf}\r\n\n`, 'good')).text).toBe(INDEX);
  });

  it.each([
    ['an expired key', 'expired-key.asc', 'TSB_SIGNATURE_EXPIRED', /key \w+, which expired 2021-12-31/],
    ['an expired subkey', 'oldsubkey.asc', 'TSB_SIGNATURE_EXPIRED', /key \w+, which expired 2026-01-31/],
    [
      'an expired signature',
      'expired-signature.asc',
      'TSB_SIGNATURE_EXPIRED',
      /signature expired 2026-02-08/,
    ],
    ['a revoked key', 'revoked.asc', 'TSB_SIGNATURE_REVOKED', /revoked/],
    ['a signature from the future', 'future.asc', 'TSB_SIGNATURE_FUTURE', /made 2027-01-01.*in the future/],
    ['SHA-1', 'sha1.asc', 'TSB_SIGNATURE_WEAK', /broken hash/],
    ['SHA-1 by a key with SHA-1 self-signatures', 'sha1self-sha1.asc', 'TSB_SIGNATURE_WEAK', /broken hash/],
    ['RSA 1024', 'short.asc', 'TSB_SIGNATURE_WEAK', /1024 bits/],
    ['DSA', 'dsa.asc', 'TSB_SIGNATURE_WEAK', /DSA key/],
  ] as const)('refuses %s', async (_, file, code, text) => {
    await expect(check(fixture(file), ...NAMES)).rejects.toEqual(refusal(code, text));
  });

  it('refuses an unsigned index', async () => {
    await expect(check(fixture('index'), 'good')).rejects.toEqual(
      refusal('TSB_INDEX_UNSIGNED', /not signed/),
    );
    await expect(check('', 'good')).rejects.toEqual(refusal('TSB_INDEX_UNSIGNED', /not signed/));
  });

  it('refuses the wrong key and names both', async () => {
    const [good, other] = await fixtureKeys('good', 'other');
    const error = await check(fixture('good.asc'), 'other').catch((reason: unknown) => reason);
    expect(error).toEqual(refusal('TSB_SIGNATURE_WRONG_KEY', good!.getFingerprint()));
    expect(error).toEqual(refusal('TSB_SIGNATURE_WRONG_KEY', other!.getFingerprint()));
  });

  it('refuses when no key is trusted', async () => {
    await expect(check(fixture('good.asc'))).rejects.toEqual(
      refusal('TSB_SIGNATURE_WRONG_KEY', /trusted: none/),
    );
  });

  it('refuses a tampered text', async () => {
    const tampered = fixture('good.asc').toString().replace('revision=3', 'revision=9');
    await expect(check(tampered, 'good')).rejects.toEqual(refusal('TSB_SIGNATURE_BAD', /does not fit/));
  });

  it('refuses a signature of another text', async () => {
    const [text] = fixture('good-newer.asc').toString().split('-----BEGIN PGP SIGNATURE');
    const [, signature] = fixture('good.asc').toString().split('-----BEGIN PGP SIGNATURE');
    const mixed = `${text!}-----BEGIN PGP SIGNATURE${signature!}`;
    await expect(check(mixed, 'good')).rejects.toEqual(refusal('TSB_SIGNATURE_BAD', /does not fit/));
  });

  it('refuses a file cut anywhere', async () => {
    const whole = fixture('good.asc').toString().trimEnd();
    const codes = new Set<string>();
    for (let length = 0; length < whole.length; length += 7) {
      const error: unknown = await check(whole.slice(0, length), 'good').catch((reason: unknown) => reason);
      codes.add((error as { code: string }).code);
    }
    expect([...codes].sort()).toEqual(['TSB_INDEX_UNSIGNED', 'TSB_SIGNATURE_BAD']);
  });

  it('refuses every flip of a bit, or returns the signed text', async () => {
    const whole = fixture('good.asc');
    let refused = 0;
    for (let i = 0; i < whole.length; i += 5) {
      const flipped = Buffer.from(whole);
      flipped[i]! ^= 1 << (i % 8);
      const text = await check(flipped, 'good').then(
        (result) => result.text,
        () => undefined,
      );
      // A changed checksum line, blank or unhashed subpacket of the armour leaves text and signature as they were.
      if (text === undefined) refused += 1;
      else expect(text).toBe(INDEX);
    }
    expect(refused).toBeGreaterThan(whole.length / 5 / 2);
  });

  it.each([
    ['text before', (s: string) => `[evil]\n${s}`, /:1: text before/],
    ['text after', (s: string) => `${s}[evil]\n`, /text after the signature/],
    ['a second signed block', (s: string) => `${s}\n${s}`, /text after the signature/],
    ['a comment after', (s: string) => `${s}# comment\n`, /text after the signature/],
    [
      'nested armour',
      (s: string) => s.replace('[debian-12]', '-----BEGIN PGP MESSAGE-----\n\nx'),
      /unescaped dash/,
    ],
    [
      'a nested signed block',
      (s: string) => s.replace('[debian-12]', '-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n[evil]'),
      /unescaped dash/,
    ],
    [
      'a second signature block',
      (s: string) => s.replace(/-----END PGP SIGNATURE-----/, '-----BEGIN PGP SIGNATURE-----\n\n$&'),
      /nested in the signature/,
    ],
    [
      'too many lines',
      (s: string) => s.replace('[debian-12]', '\n'.repeat(250_000)),
      /more than 250000 lines/,
    ],
    ['another header', (s: string) => s.replace('Hash: SHA256', 'Hash: SHA256\nX: y'), /cannot be read/],
    ['another hash header', (s: string) => s.replace('Hash: SHA256', 'Hash: SHA512'), /cannot be read/],
    [
      'NotDashEscaped',
      (s: string) => s.replace('Hash: SHA256', 'Hash: SHA256\nNotDashEscaped: y'),
      /cannot be/,
    ],
    ['no signature data', (s: string) => s.replace(/\n\ni[\s\S]*?\n(?=-----END)/, '\n\n'), /./],
  ])('refuses %s', async (_, change, text) => {
    const changed = change(fixture('good.asc').toString());
    expect(changed).not.toBe(fixture('good.asc').toString());
    await expect(check(changed, 'good')).rejects.toEqual(refusal('TSB_SIGNATURE_BAD', text));
  });

  it('refuses bytes that are not UTF-8', async () => {
    const data = Buffer.concat([fixture('good.asc'), Buffer.from([0xff])]);
    await expect(check(data, 'good')).rejects.toEqual(refusal('TSB_INDEX_SYNTAX', /UTF-8/));
  });
});

describe('agreement with gpg', () => {
  let home: string;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'gpg-'));
    const keys = NAMES.map((name) => join(KEYS, `${name}.key.asc`));
    await exec('gpg', ['--batch', '--quiet', '--homedir', home, '--import', ...keys]);
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  const gpgStatus = async (file: string): Promise<string> => {
    const args = [
      '--batch',
      '--homedir',
      home,
      '--faked-system-time',
      '20260601T000000!',
      '--status-fd',
      '1',
    ];
    const result = await exec('gpg', [...args, '--verify', file], { okStatus: [0, 1, 2] });
    return result.stdout;
  };

  it.each(['good', 'rsa', 'subkey', 'sha1self'])('on %s: valid, by the same key', async (name) => {
    const status = await gpgStatus(join(KEYS, `${name}.asc`));
    const result = await check(fixture(`${name}.asc`), ...NAMES);
    expect(status).toContain(`VALIDSIG ${result.fingerprint.toUpperCase()}`);
    expect(status).toContain(result.primaryFingerprint.toUpperCase());
  });

  it.each([
    ['expired-key', 'EXPKEYSIG'],
    ['expired-signature', 'EXPSIG'],
    ['revoked', 'REVKEYSIG'],
    ['sha1', 'GOODSIG'],
    ['short', 'GOODSIG'],
  ])('on %s: gpg says %s, we refuse', async (name, word) => {
    expect(await gpgStatus(join(KEYS, `${name}.asc`))).toContain(word);
    await expect(check(fixture(`${name}.asc`), ...NAMES)).rejects.toThrow();
  });

  it('on a tampered text: both refuse', async () => {
    const file = join(home, 'tampered.asc');
    const tampered = fixture('good.asc').toString().replace('revision=3', 'revision=9');
    writeFileSync(file, tampered);
    expect(await gpgStatus(file)).toContain('BADSIG');
    await expect(check(tampered, 'good')).rejects.toEqual(refusal('TSB_SIGNATURE_BAD', /./));
  });
});

describe('verifyDetached', () => {
  it.each(['detached.sig', 'detached.asc'])('accepts %s', async (file) => {
    const keys = await fixtureKeys('other', 'good');
    const result = await verifyDetached(join(KEYS, 'index'), fixture(file), {
      name: 'index',
      keys,
      now: NOW,
    });
    expect(result.primaryFingerprint).toBe(keys[1]!.getFingerprint());
  });

  it('refuses another file, another key, no signature and a missing file', async () => {
    const options = { name: 'x', keys: await fixtureKeys('good'), now: NOW };
    const signature = fixture('detached.sig');
    const of = (file: string, data: Uint8Array, more = {}) =>
      verifyDetached(join(KEYS, file), data, { ...options, ...more });
    await expect(of('index-newer', signature)).rejects.toEqual(refusal('TSB_SIGNATURE_BAD', /does not fit/));
    await expect(of('index', signature, { keys: await fixtureKeys('rsa') })).rejects.toEqual(
      refusal('TSB_SIGNATURE_WRONG_KEY', /not trusted/),
    );
    await expect(of('index', fixture('index'))).rejects.toEqual(
      refusal('TSB_SIGNATURE_BAD', /cannot be read/),
    );
    await expect(of('index', new Uint8Array())).rejects.toEqual(
      refusal('TSB_SIGNATURE_BAD', /cannot be read/),
    );
    await expect(of('missing', signature)).rejects.toEqual(refusal('TSB_IO', /missing: cannot be read/));
  });

  it('stops when aborted', async () => {
    const options = { name: 'x', keys: await fixtureKeys('good'), now: NOW, signal: AbortSignal.abort() };
    await expect(verifyDetached(join(KEYS, 'index'), fixture('detached.sig'), options)).rejects.toThrow(
      /abort/,
    );
  });
});

describe('keys', () => {
  it.each(['two-keys.asc', 'two-keys.gpg'])('reads both keys of %s', async (file) => {
    const keys = await readKeyring(fixture(file), file);
    const expected = await fixtureKeys('good', 'other');
    const print = (list: typeof keys) => list.map((key) => key.getFingerprint()).sort();
    expect(print(keys)).toEqual(print(expected));
  });

  it('merges copies, so that a revocation in one of them counts', async () => {
    const key = fixture('revoked.key.asc').toString();
    const [revoked] = await readKeyring(Buffer.from(key), 'x');
    const clean = revoked!;
    clean.revocationSignatures = [];
    const keys = await readKeyring(Buffer.from(`${clean.armor()}\n${key}`), 'x');
    expect(keys).toHaveLength(1);
    const verify = verifyClearsigned(fixture('revoked.asc'), { name: 'x', keys, now: NOW });
    await expect(verify).rejects.toEqual(refusal('TSB_SIGNATURE_REVOKED', /revoked/));
  });

  it('reads the shipped libguestfs key, whose self-signatures are SHA-1, and can verify with it', async () => {
    const file = join(import.meta.dirname, '../../templates/sources/libguestfs.asc');
    const { readFileSync } = await import('node:fs');
    const [key] = await readKeyring(readFileSync(file), file);
    expect(key!.getFingerprint()).toBe('f7774fb1ad074a7e8c8767ea91738f73e1b768a0');
    const { signaturePolicy } = await import('../../src/index-repo/signature-policy.js');
    const { config } = await signaturePolicy();
    const signer = await key!.getSigningKey(undefined, new Date(), undefined, config);
    expect(signer.getFingerprint()).toBe('f7774fb1ad074a7e8c8767ea91738f73e1b768a0');
  });

  it('refuses what is no key', async () => {
    for (const data of [
      Buffer.from(''),
      Buffer.from('hello'),
      fixture('good.asc'),
      Buffer.from([0x99, 1, 2]),
    ]) {
      await expect(readKeyring(data, 'x')).rejects.toEqual(refusal('TSB_KEY_INVALID', /^x: /));
    }
  });

  it('pins by the fingerprint of a primary key or a subkey', async () => {
    const keys = await fixtureKeys('good', 'subkey');
    const [good, subkey] = keys;
    expect(pinKeys(keys, [subkey!.subkeys[0]!.getFingerprint()])).toEqual([subkey]);
    expect(pinKeys(keys, [good!.getFingerprint()])).toEqual([good]);
    expect(pinKeys(keys, undefined)).toEqual(keys);
    expect(pinKeys(keys, ['0'.repeat(40)])).toEqual([]);
  });

  it('reads fingerprints as people write them, and no short ones', () => {
    const expected = 'f7774fb1ad074a7e8c8767ea91738f73e1b768a0';
    expect(parseFingerprint('F777 4FB1 AD07 4A7E 8C87  67EA 9173 8F73 E1B7 68A0')).toBe(expected);
    expect(parseFingerprint(`0x${expected}`)).toBe(expected);
    for (const bad of ['E1B768A0', '', '91738F73E1B768A0', `${expected}0`])
      expect(() => parseFingerprint(bad)).toThrow(/not the fingerprint/);
  });
});
