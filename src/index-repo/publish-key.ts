import { readFile } from 'node:fs/promises';
import type { PrivateKey } from 'openpgp';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';

const USER_ID = 'tsbuilder local repository';

/** A key that signs a repository's index. */
export interface SigningKey {
  /** Fingerprint of the primary key, upper-case hex. */
  readonly fingerprint: string;
  /** The public half, armoured. */
  readonly publicKey: string;
  /** The secret half, armoured, without a passphrase. */
  readonly secretKey: string;
}

/**
 * A new ed25519 key (the form that GnuPG 2.2 reads too) that can sign and nothing else, without a passphrase and
 * without expiry: it protects a repository on this machine, where whoever can read the key can replace the programs too.
 */
export async function generateSigningKey(): Promise<SigningKey> {
  const openpgp = await import('openpgp');
  const { privateKey } = await openpgp.generateKey({
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [{ name: USER_ID }],
    subkeys: [],
    format: 'object',
  });
  return describeKey(privateKey);
}

/**
 * Reads an armoured secret key.
 *
 * @returns undefined when there is no such file
 * @throws TSB_KEY_INVALID when the file holds no usable secret key, or one with a passphrase
 */
export async function readSigningKey(path: string): Promise<SigningKey | undefined> {
  let armored: string;
  try {
    armored = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw keyInvalid(path, messageOf(error), error);
  }
  const key = await parseSecretKey(armored).catch((error: unknown) => {
    throw keyInvalid(path, messageOf(error), error);
  });
  if (!key.isDecrypted()) throw keyInvalid(path, 'it is protected by a passphrase');
  return describeKey(key);
}

/**
 * Signs `text` inline (RFC 9580 section 7) with SHA-512 and checks the result with the public half.
 *
 * @returns the clearsigned text
 * @throws TSB_SIGNATURE_BAD when the check fails or would give other text than was signed
 */
export async function clearsign(text: string, key: SigningKey): Promise<string> {
  const openpgp = await import('openpgp');
  const message = await openpgp.sign({
    message: await openpgp.createCleartextMessage({ text }),
    signingKeys: await parseSecretKey(key.secretKey),
    config: { preferredHashAlgorithm: openpgp.enums.hash.sha512 },
  });
  // The signature covers lines ended by CR LF however they are stored; virt-builder reads only LF.
  const signed = message.replaceAll('\r\n', '\n');
  if ((await verifyClearsigned('the index just signed', signed, key)) !== text.trimEnd()) {
    throw new TsbuilderError('TSB_SIGNATURE_BAD', 'the index just signed verifies as another text');
  }
  return signed;
}

/**
 * The text inside a message that `key` itself clearsigned, without newlines at its end.
 *
 * @throws TSB_SIGNATURE_BAD when it was changed, or signed by another key, or is not a clearsigned message
 */
export async function verifyClearsigned(name: string, signed: string, key: SigningKey): Promise<string> {
  const openpgp = await import('openpgp');
  try {
    const result = await openpgp.verify({
      message: await openpgp.readCleartextMessage({ cleartextMessage: signed }),
      verificationKeys: (await parseSecretKey(key.secretKey)).toPublic(),
      expectSigned: true,
    });
    return result.data.trimEnd();
  } catch (error) {
    throw new TsbuilderError(
      'TSB_SIGNATURE_BAD',
      `${name}: not signed by this repository's key ${key.fingerprint}: ${messageOf(error)}`,
      {
        hint: 'An index that was changed by something else is never signed again: move the repository folder away.',
        details: { fingerprint: key.fingerprint },
        cause: error,
      },
    );
  }
}

async function parseSecretKey(armored: string): Promise<PrivateKey> {
  const openpgp = await import('openpgp');
  return openpgp.readPrivateKey({ armoredKey: armored });
}

function describeKey(key: PrivateKey): SigningKey {
  return {
    fingerprint: key.getFingerprint().toUpperCase(),
    publicKey: key.toPublic().armor(),
    secretKey: key.armor(),
  };
}

function keyInvalid(path: string, why: string, cause?: unknown): TsbuilderError {
  return new TsbuilderError('TSB_KEY_INVALID', `${path}: cannot be used to sign: ${why}`, { cause });
}
