import { TsbuilderError, messageOf } from '../errors.js';
import { readKeyring } from './keyring.js';
import { signaturePolicy } from './signature-policy.js';

/**
 * The one key that is trusted, out of a key file that is not: binary, with nothing else of the file.
 *
 * @param from what the file is called in messages, and the fingerprint of the primary key, hex
 * @throws TSB_KEY_INVALID when the file is no key file or has no such key, or the key is revoked, expired or too weak
 */
export async function pinnedKey(
  data: Uint8Array,
  from: { readonly name: string; readonly fingerprint: string },
): Promise<Uint8Array> {
  const { name, fingerprint } = from;
  const keys = await readKeyring(data, name);
  const key = keys.find((candidate) => candidate.getFingerprint() === fingerprint.toLowerCase());
  if (!key) {
    const others = keys.map((candidate) => candidate.getFingerprint().toUpperCase()).join(', ');
    throw new TsbuilderError(
      'TSB_KEY_INVALID',
      `${name}: has no key ${fingerprint.toUpperCase()}, but ${others}`,
      { details: { name, fingerprint: fingerprint.toUpperCase() } },
    );
  }
  const { config } = await signaturePolicy();
  try {
    await key.verifyPrimaryKey(undefined, undefined, config);
  } catch (error) {
    throw new TsbuilderError(
      'TSB_KEY_INVALID',
      `${name}: key ${fingerprint.toUpperCase()} cannot be used: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return key.write();
}
