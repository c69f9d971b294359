import type { PublicKey } from 'openpgp';
import { TsbuilderError, messageOf } from '../errors.js';
import { readKeyring } from './keyring.js';
import { signaturePolicy } from './signature-policy.js';
import { verifyClearsigned } from './signature.js';

/** How an index is signed. */
export interface SignOptions {
  /** Milliseconds after which the signature no longer holds. Default: it holds for as long as the key does. */
  readonly expiresMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A key that signs indexes, wherever its secret half is. */
export interface IndexSigner {
  /** Of the primary key, upper-case hex. */
  readonly fingerprint: string;
  /** The public half, armoured. */
  readonly publicKey: string;
  /** Where the secret half is: a path, or `gpg`. For messages. */
  readonly keptIn: string;
  /** `text` clearsigned (RFC 9580 section 7), with SHA-512. */
  sign(text: string, options: SignOptions): Promise<string>;
}

/**
 * Signs the text of an index and reads the result by the rules that readers have.
 *
 * @throws TSB_SIGNATURE_* when a reader would refuse it or read another text
 */
export async function signIndex(text: string, signer: IndexSigner, options: SignOptions): Promise<string> {
  const name = 'the index just signed';
  // The signature covers lines ended by CR LF however they are stored; virt-builder reads only LF.
  const signed = (await signer.sign(text, options)).replaceAll('\r\n', '\n');
  const keys = await publicKeysOf([signer]);
  const verified = await verifyClearsigned(Buffer.from(signed), { name, keys });
  if (verified.text.trimEnd() === text.trimEnd()) return signed;
  throw new TsbuilderError('TSB_SIGNATURE_BAD', `${name} verifies as another text`);
}

/** The public halves of `signers`, in their order. */
export async function publicKeysOf(signers: readonly IndexSigner[]): Promise<PublicKey[]> {
  const keyrings = await Promise.all(
    signers.map(({ publicKey, keptIn }) => readKeyring(Buffer.from(publicKey), keptIn)),
  );
  return keyrings.flat();
}

const OTHER_KEYS =
  'Sign with a key for signing: Ed25519, NIST P-256, P-384 or P-521, or RSA of 2048 bits and more.';

/**
 * Refuses a key whose signatures no reader would accept.
 *
 * @param name where the key is, for messages
 * @throws TSB_KEY_INVALID when it is revoked, has expired, is too weak or cannot sign
 */
export async function assertSigns(key: PublicKey, name: string): Promise<void> {
  const { config } = await signaturePolicy();
  const fingerprint = key.getFingerprint().toUpperCase();
  const refuse = (why: string, hint?: string): never => {
    const details = { fingerprint };
    throw new TsbuilderError('TSB_KEY_INVALID', `${name}: key ${fingerprint} ${why}`, { hint, details });
  };
  const { curve } = key.getAlgorithmInfo();
  if (curve?.startsWith('brainpool'))
    refuse(`is on the curve ${curve}, whose signatures cannot be verified here`, OTHER_KEYS);
  if (await key.isRevoked(undefined, undefined, new Date(), config))
    refuse('is revoked', 'Sign with another key.');
  const expiry = await key.getExpirationTime(undefined, config);
  if (expiry !== null && Number(expiry) <= Date.now()) {
    const day = new Date(Number(expiry)).toISOString().slice(0, 10);
    refuse(`expired on ${day}`, 'Extend it (gpg --quick-set-expire), or sign with another key.');
  }
  await key.getSigningKey(undefined, new Date(), undefined, config).catch((error: unknown) => {
    refuse(`cannot sign: ${messageOf(error)}`, OTHER_KEYS);
  });
}
