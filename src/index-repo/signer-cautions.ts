import { stat } from 'node:fs/promises';
import type { PublicKey } from 'openpgp';
import { type IndexSigner, publicKeysOf } from './publish-signer.js';
import { signaturePolicy } from './signature-policy.js';

/** Kinds of keys that came with RFC 9580: GnuPG 2.4 and older know neither them nor version 6. */
const NEW_KINDS: ReadonlySet<string> = new Set(['ed25519', 'ed448']);

/** What whoever signs with a key should know of it: sentences. @param expiresMs how long signatures are to hold */
export async function cautionsOf(signer: IndexSigner, expiresMs: number | undefined): Promise<string[]> {
  const cautions: string[] = [];
  const { keptIn, fingerprint } = signer;
  if (keptIn !== 'gpg' && (await othersMayRead(keptIn)))
    cautions.push(`${keptIn}: everybody on this machine can read the secret key: chmod 600`);
  for (const key of await publicKeysOf([signer])) {
    if (isNewKind(key))
      cautions.push(
        `key ${fingerprint} is of a kind that GnuPG 2.4 cannot read: virt-builder refuses its indexes`,
      );
    if (expiresMs !== undefined && !(await signsUntil(key, new Date(Date.now() + expiresMs))))
      cautions.push(`key ${fingerprint} expires before the signature does`);
  }
  return cautions;
}

async function othersMayRead(path: string): Promise<boolean> {
  const about = await stat(path).catch(() => undefined);
  return about?.isFile() === true && (about.mode & 0o004) !== 0;
}

function isNewKind(key: PublicKey): boolean {
  const parts = [key, ...key.subkeys];
  return key.keyPacket.version > 4 || parts.some((part) => NEW_KINDS.has(part.getAlgorithmInfo().algorithm));
}

async function signsUntil(key: PublicKey, date: Date): Promise<boolean> {
  const { config } = await signaturePolicy();
  return key.getSigningKey(undefined, date, undefined, config).then(
    () => true,
    () => false,
  );
}
