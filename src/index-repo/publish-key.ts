import type { PrivateKey, SecretKeyPacket } from 'openpgp';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { readBounded } from '../io/read-bounded.js';
import { MAX_KEY_BYTES, readAllKeys } from './keyring.js';
import { clearsignText } from './publish-clearsign.js';
import { type IndexSigner, assertSigns } from './publish-signer.js';
import { signaturePolicy } from './signature-policy.js';

const EXPORT = 'Export one with: gpg --armor --export-secret-keys FINGERPRINT';

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
  await assertPresent(locked, path);
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
    const data = await readBounded(path, MAX_KEY_BYTES);
    if (data) return data;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw keyInvalid(path, messageOf(error), { cause: error });
  }
  throw keyInvalid(path, `it has more than ${MAX_KEY_BYTES} bytes`, { hint: EXPORT });
}

async function parseSecretKey(data: Buffer, path: string): Promise<PrivateKey> {
  const keys = await readAllKeys(data).catch((error: unknown) => {
    throw keyInvalid(path, messageOf(error), { hint: EXPORT, cause: error });
  });
  const secret = new Map(keys.filter((key) => key.isPrivate()).map((key) => [key.getFingerprint(), key]));
  const [key] = secret.values();
  if (key && secret.size === 1) return key;
  throw keyInvalid(
    path,
    `it holds ${secret.size === 0 ? 'no secret key' : `${secret.size} secret keys, not one`}`,
    {
      hint: EXPORT,
    },
  );
}

/** Refuses a key whose secret half is elsewhere: what GnuPG exports of a key on a card, or of subkeys without their primary key. */
async function assertPresent(key: PrivateKey, path: string): Promise<void> {
  const { config } = await signaturePolicy();
  const { keyPacket } = (await key.getSigningKey(undefined, new Date(), undefined, config)) as PrivateKey;
  if (!(keyPacket as SecretKeyPacket).isMissingSecretKeyMaterial()) return;
  throw keyInvalid(path, 'its secret half is not in the file, but on a card or left out', {
    hint: 'Where GnuPG can sign with it: --gpg-key ID.',
  });
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
