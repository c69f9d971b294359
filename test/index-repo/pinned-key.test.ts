import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import * as openpgp from 'openpgp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pinnedKey } from '../../src/index-repo/pinned-key.js';
import { TsbuilderError } from '../../src/errors.js';
import { type TempFolder, run, tempFolder } from '../helpers/disk-tools.js';
import { type Gnupg, newGnupg } from '../helpers/gnupg.js';

const TEXT = 'Suite: test\n';

let gnupg: Gnupg;
let folder: TempFolder;
beforeAll(async () => {
  gnupg = await newGnupg();
  folder = tempFolder();
});
afterAll(async () => {
  await gnupg[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const newKey = async (name: string): Promise<openpgp.PrivateKey> =>
  (
    await openpgp.generateKey({
      userIDs: [{ name }],
      subkeys: [{ sign: true }],
      date: new Date('2026-01-01T00:00:00Z'),
      format: 'object',
    })
  ).privateKey;

/** What gpgv, by which apt verifies, says of a text that `signer` signed (by its subkey) when it trusts `keyring`. */
async function gpgv(keyring: Uint8Array, signer: openpgp.PrivateKey): Promise<string> {
  const [keys, text] = [folder.file('keyring.gpg'), folder.file('text.asc')];
  const message = await openpgp.createCleartextMessage({ text: TEXT });
  writeFileSync(keys, keyring);
  writeFileSync(text, await openpgp.sign({ message, signingKeys: signer }));
  const command = 'gpgv --status-fd 1 --keyring "$1" "$2" 2>&1 || true';
  return run('sh', '-c', command, 'sh', keys, text);
}

const fingerprintsIn = (keyring: Uint8Array): string[] => {
  const path = folder.file('listed.gpg');
  writeFileSync(path, keyring);
  const listed = gnupg.gpg(['--with-colons', '--show-keys', path]);
  return [...listed.matchAll(/^pub:.*\n^fpr:(?:[^:]*:){8}([0-9A-F]{40}):/gm)].map((match) => match[1] ?? '');
};

const concat = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);

/** Where each packet of `data` begins, all of them in the form that OpenPGP.js writes; and the end. */
function packetsOf(data: Uint8Array): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let at = 0; at < data.length;) {
    const first = data[at + 1] ?? 0;
    const [header, length] = first < 192 ? [2, first] : [3, ((first - 192) << 8) + (data[at + 2] ?? 0) + 192];
    packets.push(data.subarray(at, at + header + length));
    at += header + length;
  }
  return packets;
}

const tagOf = (packet: Uint8Array): number => (packet[0] ?? 0) & 0x3f;

describe('pinnedKey', () => {
  it('is one key out of many, and gpgv trusts no other by it', async () => {
    const [one, two, three] = await Promise.all(['one', 'two', 'three'].map(newKey));
    const file = concat(...[one!, two!, three!].map((key) => key.toPublic().write()));
    const pinned = await pinnedKey(file, { name: 'keys', fingerprint: two!.getFingerprint().toUpperCase() });
    expect(fingerprintsIn(pinned)).toEqual([two!.getFingerprint().toUpperCase()]);
    expect(await gpgv(pinned, two!)).toContain('GOODSIG');
    expect(await gpgv(pinned, three!)).toContain('NO_PUBKEY');
    expect(await gpgv(file, three!)).toContain('GOODSIG');
  });

  it('is read from armour too, and never with its secret part', async () => {
    const key = await newKey('armoured');
    const fingerprint = key.getFingerprint();
    for (const text of [key.armor(), key.toPublic().armor()]) {
      const pinned = await pinnedKey(Buffer.from(text), { name: 'keys', fingerprint });
      expect(Buffer.from(pinned)).toEqual(Buffer.from(key.toPublic().write()));
    }
  });

  it('does not make a subkey trusted that somebody else has put under the key, marked as checked', async () => {
    const [key, attacker] = await Promise.all(['key', 'attacker'].map(newKey));
    const foreign = packetsOf(attacker!.toPublic().write());
    const subkey = foreign.slice(foreign.findIndex((packet) => tagOf(packet) === 14));
    // GnuPG keeps in its own keyrings, in trust packets, which signatures it has found good.
    const checked = Buffer.from([0xcc, 6, 0, 3, 0x67, 0x70, 0x67, 0]);
    const file = concat(
      ...[...packetsOf(key!.toPublic().write()), ...subkey].flatMap((packet) => [packet, checked]),
    );
    const pinned = await pinnedKey(file, { name: 'keys', fingerprint: key!.getFingerprint() });
    expect(packetsOf(pinned).map(tagOf)).not.toContain(12);
    expect(await gpgv(pinned, key!)).toContain('GOODSIG');
    expect(await gpgv(pinned, attacker!)).not.toContain('GOODSIG');
  });

  it('must be in the file; the error names what is', async () => {
    const [key, other] = await Promise.all(['key', 'other'].map(newKey));
    const fingerprint = key!.getFingerprint().toUpperCase();
    await expect(
      pinnedKey(other!.toPublic().write(), { name: 'other.gpg', fingerprint }),
    ).rejects.toMatchObject({
      code: 'TSB_KEY_INVALID',
      message: `other.gpg: has no key ${fingerprint}, but ${other!.getFingerprint().toUpperCase()}`,
    });
    // A subkey's fingerprint is not the key's.
    const subkey = key!.subkeys[0]!.getFingerprint();
    await expect(
      pinnedKey(key!.toPublic().write(), { name: 'x', fingerprint: subkey }),
    ).rejects.toMatchObject({ code: 'TSB_KEY_INVALID' });
  });

  it.each([
    ['revoked', { revoked: true }, /cannot be used: .*revoked/i],
    ['expired', { expires: '1d' }, /cannot be used: .*expired/i],
  ])('must not be %s', async (name, options, message) => {
    const key = gnupg.makeKey(name, options);
    const promise = pinnedKey(readFileSync(key.public), { name: 'k', fingerprint: key.fingerprint });
    await expect(promise).rejects.toMatchObject({
      code: 'TSB_KEY_INVALID',
      message: expect.stringMatching(message) as string,
    });
  });

  it('of any bytes is refused, never anything else', async () => {
    const whole = (await newKey('whole')).toPublic().write();
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(whole.length - 1).map((length) => whole.subarray(0, length)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (data) => {
        const error: unknown = await pinnedKey(data, { name: 'x', fingerprint: '0'.repeat(40) }).catch(
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(TsbuilderError);
        expect(error).toMatchObject({ code: 'TSB_KEY_INVALID' });
      }),
      { numRuns: 100 },
    );
  });
});
