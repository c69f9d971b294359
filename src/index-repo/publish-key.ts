import { readFile } from 'node:fs/promises';
import type { PrivateKey } from 'openpgp';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { clearsignText } from './publish-clearsign.js';
import { type IndexSigner, assertSigns } from './publish-signer.js';

/** A key that was just made: its secret half is armoured and has no passphrase. */
export interface NewKey {
  /** Of the primary key, upper-case hex. */
  readonly fingerprint: string;
  readonly secretKey: string;
}

/** How the secret key in a file is opened. */
export interface KeyFileOptions {
  /** Asked for only when the key has a passphrase. Without it such a key is refused. */
  readonly passphrase?: ((path: string) => Promise<string>) | undefined;
}

/**
 * A new ed25519 key (the form that GnuPG 2.2 reads too) that can sign and nothing else, without a passphrase and
 * without expiry: it protects a repository on this machine, where whoever can read the key can replace the programs too.
 */
export async function generateSigningKey(userId: string): Promise<NewKey> {
  const openpgp = await import('openpgp');
  const { privateKey } = await openpgp.generateKey({
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [{ name: userId }],
    subkeys: [],
    format: 'object',
  });
  return { fingerprint: fingerprintOf(privateKey), secretKey: privateKey.armor() };
}

/**
 * Reads the secret key in a file, armoured or binary, and makes sure that it can sign.
 *
 * @returns undefined when there is no such file
 * @throws TSB_KEY_INVALID when the file holds no secret key or several, the passphrase is wrong or missing, or the key cannot sign,
 *   has expired or is revoked
 */
export async function openKeyFile(
  path: string,
  options: KeyFileOptions = {},
): Promise<IndexSigner | undefined> {
  const data = await readKeyFile(path);
  if (!data) return undefined;
  const locked = await parseSecretKey(data, path);
  await assertSigns(locked.toPublic(), path);
  const key = locked.isDecrypted() ? locked : await unlock(locked, path, options);
  return {
    fingerprint: fingerprintOf(key),
    publicKey: key.toPublic().armor().replaceAll('\r\n', '\n'),
    keptIn: path,
    sign: (text, signOptions) => clearsignText(text, key, signOptions),
  };
}

async function readKeyFile(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw keyInvalid(path, messageOf(error), { cause: error });
  }
}

async function parseSecretKey(data: Buffer, path: string): Promise<PrivateKey> {
  const { readPrivateKeys } = await import('openpgp');
  const isBinary = (data[0] ?? 0) >= 0x80;
  try {
    const keys = await (isBinary
      ? readPrivateKeys({ binaryKeys: data })
      : readPrivateKeys({ armoredKeys: data.toString('latin1') }));
    if (keys[0] && keys.length === 1) return keys[0];
    throw new Error(`it holds ${keys.length} secret keys, not one`);
  } catch (error) {
    const hint = 'Export one with: gpg --armor --export-secret-keys FINGERPRINT';
    throw keyInvalid(path, messageOf(error), { hint, cause: error });
  }
}

async function unlock(key: PrivateKey, path: string, { passphrase }: KeyFileOptions): Promise<PrivateKey> {
  const { decryptKey } = await import('openpgp');
  if (!passphrase) throw keyInvalid(path, 'it is protected by a passphrase');
  const secret = await passphrase(path);
  try {
    return await decryptKey({ privateKey: key, passphrase: secret });
  } catch (error) {
    throw keyInvalid(path, 'the passphrase is wrong', { cause: error });
  }
}

function fingerprintOf(key: PrivateKey): string {
  return key.getFingerprint().toUpperCase();
}

function keyInvalid(
  path: string,
  why: string,
  extra: { hint?: string; cause?: unknown } = {},
): TsbuilderError {
  return new TsbuilderError('TSB_KEY_INVALID', `${path}: cannot be used to sign: ${why}`, extra);
}
