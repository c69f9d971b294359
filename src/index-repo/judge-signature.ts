import type { Config, PublicKey, SignaturePacket } from 'openpgp';
import { TsbuilderError } from '../errors.js';
import { type SignatureCase, checkCase, signaturePolicy } from './signature-policy.js';

/** A signature that holds: made by a trusted key, over exactly these bytes, and valid now. */
export interface VerifiedSignature {
  /** Fingerprint, lower-case hex, of the key or subkey that signed. */
  readonly fingerprint: string;
  /** Fingerprint, lower-case hex, of the primary key it belongs to. */
  readonly primaryFingerprint: string;
  readonly createdAt: Date;
  /** When it stops to hold; undefined: it holds for as long as the key does. */
  readonly expiresAt: Date | undefined;
}

/** What signatures are judged by. */
export interface JudgeOptions {
  /** Path or URL of what is signed, for messages. */
  readonly name: string;
  /** The keys that are trusted for it. */
  readonly keys: readonly PublicKey[];
  /** Default: the clock. */
  readonly now?: Date | undefined;
}

/** Something with signatures on it, whatever form it has. */
export interface SignedDocument {
  readonly packets: readonly SignaturePacket[];
  /** The library's verdict on one of `packets` as if today were `date`; throws when it is not good. */
  verify(packet: SignaturePacket, options: { date: Date; config: Config; keys: PublicKey[] }): Promise<void>;
}

const MAX_SIGNATURES = 16;

/**
 * Finds a signature that holds. Our policy is stricter than the library's: the key must be valid today, not only when
 * it signed; no SHA-1 or MD5 over the content, no RSA below 2048 bits, no DSA. SHA-1 in the key's own self-signatures
 * is tolerated: old keys have nothing else.
 *
 * @returns the newest signature that holds
 * @throws TSB_SIGNATURE_BAD, _WRONG_KEY, _EXPIRED, _REVOKED, _FUTURE or _WEAK when none holds: the reason that says most
 */
export async function judgeSignatures(
  document: SignedDocument,
  options: JudgeOptions,
): Promise<VerifiedSignature> {
  const { packets } = document;
  if (packets.length === 0 || packets.length > MAX_SIGNATURES) {
    throw new TsbuilderError(
      'TSB_SIGNATURE_BAD',
      `${options.name}: has ${packets.length} signatures of its kind, expected 1 to ${MAX_SIGNATURES}`,
    );
  }
  const good: VerifiedSignature[] = [];
  const refusals: TsbuilderError[] = [];
  for (const packet of packets) {
    try {
      good.push(await judgeOne(document, packet, options));
    } catch (error) {
      if (!(error instanceof TsbuilderError)) throw error;
      refusals.push(error);
    }
  }
  const newest = good.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())[0];
  if (newest) return newest;
  // What a key we trust has to say means more than that there is a key we do not know.
  throw refusals.reduce((worst, next) => (worst.code === 'TSB_SIGNATURE_WRONG_KEY' ? next : worst));
}

async function judgeOne(
  document: SignedDocument,
  packet: SignaturePacket,
  options: JudgeOptions,
): Promise<VerifiedSignature> {
  const { key, signer } = findSigner(packet, options);
  const { config, weakHashes } = await signaturePolicy();
  const { name, now = new Date() } = options;
  const createdAt = packet.created ?? new Date(NaN);
  const intact = (): Promise<void> => document.verify(packet, { date: createdAt, config, keys: [key] });
  await checkCase({ name, packet, key, signer, createdAt, now, config, weakHashes, intact });
  const until = packet.getExpirationTime();
  return {
    fingerprint: signer.getFingerprint(),
    primaryFingerprint: key.getFingerprint(),
    createdAt,
    expiresAt: until instanceof Date ? until : undefined,
  };
}

function findSigner(
  packet: SignaturePacket,
  { keys, name }: JudgeOptions,
): Pick<SignatureCase, 'key' | 'signer'> {
  for (const key of keys) {
    const signer = key.getKeys(packet.issuerKeyID)[0];
    if (signer) return { key, signer };
  }
  const claimed = packet.issuerFingerprint
    ? Buffer.from(packet.issuerFingerprint).toString('hex')
    : packet.issuerKeyID.toHex();
  const trusted = keys.map((key) => key.getFingerprint()).join(', ') || 'none';
  throw new TsbuilderError(
    'TSB_SIGNATURE_WRONG_KEY',
    `${name}: is signed by key ${claimed}, which is not trusted here (trusted: ${trusted})`,
    {
      hint: 'If the publisher has changed keys, get the new one from a place you trust and name it with --key or gpgkey=.',
      details: { url: name, claimed, trusted },
    },
  );
}
