import type { Config, PublicKey, SignaturePacket, Subkey } from 'openpgp';
import { type ErrorCode, TsbuilderError, isAbort, messageOf } from '../errors.js';

/** One signature by a key that we know, before it has been judged. */
export interface SignatureCase {
  /** What is signed, for messages. */
  readonly name: string;
  readonly packet: SignaturePacket;
  readonly key: PublicKey;
  /** The part of `key` that claims to have signed. */
  readonly signer: PublicKey | Subkey;
  readonly createdAt: Date;
  readonly now: Date;
  readonly config: Config;
  readonly weakHashes: ReadonlySet<number>;
  /** The library's verdict as of `createdAt`; throws when it is not good. */
  readonly intact: () => Promise<void>;
}

/** How far ahead the publisher's clock may be. */
const CLOCK_SKEW_MS = 10 * 60 * 1000;
const MIN_RSA_BITS = 2048;

/** The library's settings, given with every call, so that nothing another part of a program sets globally loosens them. */
export async function signaturePolicy(): Promise<Pick<SignatureCase, 'config' | 'weakHashes'>> {
  const { config, enums } = await import('openpgp');
  const weakHashes = new Set([enums.hash.md5, enums.hash.ripemd, enums.hash.sha1]);
  return {
    weakHashes,
    config: {
      ...config,
      minRSABits: MIN_RSA_BITS,
      rejectHashAlgorithms: new Set([enums.hash.md5, enums.hash.ripemd]),
      rejectMessageHashAlgorithms: weakHashes,
      rejectPublicKeyAlgorithms: new Set([enums.publicKey.elgamal, enums.publicKey.dsa]),
      // A key whose expiry was extended carries only a self-signature newer than what it signed before.
      allowInsecureVerificationWithReformattedKeys: true,
      allowMissingKeyFlags: false,
      knownNotations: [],
    },
  };
}

/**
 * Refuses a signature that does not hold. The order makes the message say what is wrong first: a revoked key before
 * anything it signed, weakness before content, content before dates.
 *
 * @throws TSB_SIGNATURE_REVOKED, _WEAK, _EXPIRED, _BAD or _FUTURE
 */
export async function checkCase(judged: SignatureCase): Promise<void> {
  const { key, now, config, createdAt } = judged;
  if (Number.isNaN(createdAt.getTime())) throw refuse(judged, 'TSB_SIGNATURE_BAD', 'carries no time');
  if (await key.isRevoked(undefined, undefined, now, config)) throw revoked(judged);
  checkStrength(judged);
  const keyExpiry = await expiryOf(judged);
  if (keyExpiry <= createdAt.getTime()) throw keyExpired(judged, keyExpiry);
  await judged.intact().catch((error: unknown) => {
    if (error instanceof TsbuilderError || isAbort(error)) throw error;
    throw refuse(judged, 'TSB_SIGNATURE_BAD', `does not fit: ${messageOf(error)}`);
  });
  checkTimes(judged);
  if (keyExpiry <= now.getTime()) throw keyExpired(judged, keyExpiry);
  await checkSignerNow(judged);
}

/** Milliseconds since the epoch at which the primary key or the signing subkey expires, whichever is first. */
async function expiryOf({ key, signer, config }: SignatureCase): Promise<number> {
  const primary = await key.getExpirationTime(undefined, config);
  const own = 'bindingSignatures' in signer ? await subkeyExpiry(signer, config) : Infinity;
  // null: the library finds no valid self-signature; its verdict follows and says why.
  return Math.min(Number(primary ?? Infinity), Number(own ?? Infinity));
}

/** A subkey's expiry by its newest binding that verifies; null when none does. */
function subkeyExpiry(subkey: Subkey, config: Config): Promise<Date | number | null> {
  const newest = subkey.bindingSignatures.reduce((max, { created }) => Math.max(max, Number(created)), 0);
  return subkey.getExpirationTime(new Date(newest), config);
}

function checkStrength(judged: SignatureCase): void {
  const { packet, weakHashes, config } = judged;
  if (packet.hashAlgorithm !== null && weakHashes.has(packet.hashAlgorithm))
    throw weak(judged, 'is made with a broken hash (SHA-1, MD5 or RIPEMD-160)');
  for (const part of [judged.key, judged.signer]) {
    const { algorithm, bits } = part.getAlgorithmInfo();
    if (/^(?:dsa|elgamal)$/.test(algorithm))
      throw weak(judged, `is made by a ${algorithm.toUpperCase()} key`);
    if (algorithm.startsWith('rsa') && (bits ?? 0) < config.minRSABits)
      throw weak(
        judged,
        `is made by an RSA key of ${bits ?? 0} bits, at least ${config.minRSABits} are needed`,
      );
  }
}

function checkTimes(judged: SignatureCase): void {
  const { packet, createdAt, now } = judged;
  if (createdAt.getTime() > now.getTime() + CLOCK_SKEW_MS) {
    const text = `was made ${day(createdAt)}, which is in the future (now ${day(now)})`;
    throw refuse(judged, 'TSB_SIGNATURE_FUTURE', text, 'Check the clock of this machine.');
  }
  const expiry = packet.getExpirationTime();
  if (Number(expiry) <= now.getTime()) {
    const text = `expired ${day(new Date(Number(expiry)))}`;
    throw refuse(
      judged,
      'TSB_SIGNATURE_EXPIRED',
      text,
      'Its publisher must sign again; or the clock here is wrong.',
    );
  }
}

/** The library's verdict on the key as of now: catches revoked subkeys, revoked user IDs, bindings that ended. */
async function checkSignerNow(judged: SignatureCase): Promise<void> {
  const { key, signer, now, config } = judged;
  try {
    await key.getSigningKey(signer.getKeyID(), now, undefined, config);
  } catch (error) {
    if (signer !== key && 'revocationSignatures' in signer && signer.revocationSignatures.length > 0)
      throw revoked(judged);
    throw refuse(judged, 'TSB_SIGNATURE_BAD', `is by a key that may not sign now: ${messageOf(error)}`);
  }
}

function revoked(judged: SignatureCase): TsbuilderError {
  const text = `is by key ${judged.signer.getFingerprint()}, which is revoked`;
  return refuse(judged, 'TSB_SIGNATURE_REVOKED', text, "Get the publisher's new key from a place you trust.");
}

function keyExpired(judged: SignatureCase, expiry: number): TsbuilderError {
  const text = `is by key ${judged.signer.getFingerprint()}, which expired ${day(new Date(expiry))}`;
  const hint = 'If the publisher has extended the key, get the new copy of it from a place you trust.';
  return refuse(judged, 'TSB_SIGNATURE_EXPIRED', text, hint);
}

function weak(judged: SignatureCase, text: string): TsbuilderError {
  return refuse(
    judged,
    'TSB_SIGNATURE_WEAK',
    text,
    'Its publisher must sign with SHA-256 or better and a strong key.',
  );
}

function refuse(judged: SignatureCase, ...[code, text, hint]: [ErrorCode, string, string?]): TsbuilderError {
  return new TsbuilderError(code, `${judged.name}: the signature ${text}`, {
    hint: hint ?? 'The file was changed after it was signed, or is not what it claims to be. Do not use it.',
    details: { url: judged.name, fingerprint: judged.signer.getFingerprint() },
  });
}

const day = (date: Date): string => `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
