import type { Key, PublicKey } from 'openpgp';
import { TsbuilderError, messageOf } from '../errors.js';

/** The largest key file, in bytes, that is read. */
export const MAX_KEY_BYTES: number = 1024 * 1024;

const ARMOUR =
  /-----BEGIN PGP (?:PUBLIC|PRIVATE) KEY BLOCK-----[\s\S]*?-----END PGP (?:PUBLIC|PRIVATE) KEY BLOCK-----/g;

/**
 * Reads every key of a key file, as `readAllKeys`. Copies of one key are merged, so that a revocation in any of them counts. Secret parts are dropped.
 *
 * @param name path or URL, for messages
 * @throws TSB_KEY_INVALID when there is no key in it, or one that cannot be read
 */
export async function readKeyring(data: Uint8Array, name: string): Promise<PublicKey[]> {
  try {
    const keys = await readAllKeys(data);
    if (keys.length > 0) return await mergeCopies(keys);
  } catch (error) {
    throw new TsbuilderError('TSB_KEY_INVALID', `${name}: not a readable OpenPGP key: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new TsbuilderError('TSB_KEY_INVALID', `${name}: holds no OpenPGP public key`, {
    hint: 'Export one with: gpg --armor --export FINGERPRINT',
  });
}

/** Every key in `data`: one or several armoured blocks, one or several keys in each, or binary. @throws the library's error when one cannot be read */
export async function readAllKeys(data: Uint8Array): Promise<Key[]> {
  const { readKeys } = await import('openpgp');
  if (data.length === 0) return [];
  // The first byte of a binary packet has its high bit set (RFC 9580 section 4.2); armour is ASCII.
  if ((data[0] ?? 0) >= 0x80) return readKeys({ binaryKeys: data });
  const blocks = Buffer.from(data).toString('utf8').match(ARMOUR) ?? [];
  return (await Promise.all(blocks.map((armoredKeys) => readKeys({ armoredKeys })))).flat();
}

async function mergeCopies(keys: readonly Key[]): Promise<PublicKey[]> {
  const merged = new Map<string, PublicKey>();
  for (const key of keys) {
    const publicKey = key.toPublic();
    const copy = merged.get(key.getFingerprint());
    merged.set(key.getFingerprint(), copy ? await copy.update(publicKey) : publicKey);
  }
  return [...merged.values()];
}

/**
 * A fingerprint as a user writes it (blanks, colons, any case, `0x`), as lower-case hex.
 *
 * @throws TSB_USAGE unless it is a whole fingerprint: 40 hex digits, or 64 for version 6 keys
 */
export function parseFingerprint(text: string): string {
  const hex = text.replace(/[\s:]/g, '').replace(/^0x/i, '').toLowerCase();
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hex)) return hex;
  throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)} is not the fingerprint of a key`, {
    hint: 'Give all 40 hex digits, as gpg --fingerprint prints them: short key IDs can be forged.',
  });
}

/** Fingerprints (lower-case hex) of the primary key and all subkeys of `key`. */
function fingerprintsOf(key: PublicKey): string[] {
  return [key.getFingerprint(), ...key.subkeys.map((subkey) => subkey.getFingerprint())];
}

/** The keys that have one of `fingerprints` (lower-case hex) as their own or as a subkey's; all when there are none. */
export function pinKeys(
  keys: readonly PublicKey[],
  fingerprints: readonly string[] | undefined,
): readonly PublicKey[] {
  if (!fingerprints || fingerprints.length === 0) return keys;
  return keys.filter((key) => fingerprintsOf(key).some((fingerprint) => fingerprints.includes(fingerprint)));
}
