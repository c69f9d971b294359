import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublicKey } from 'openpgp';
import { TsbuilderError, errnoOf } from '../errors.js';
import { readKeyring } from './keyring.js';
import { type IndexSection, splitIndex } from './publish-entry.js';
import { writeDurably } from './publish-file.js';
import { type IndexSigner, type SignOptions, signIndex } from './publish-signer.js';
import { verifyClearsigned } from './signature.js';

/** The index that every client knows. */
export const INDEX_FILE = 'index.asc';
/** The public keys of a repository: the one that signs `index.asc` is the last, which is the one that virt-builder trusts. */
export const KEY_FILE = 'key.asc';

const INDEX_OF_KEY = /^index-[0-9a-f]{16}\.asc$/;

/** The name of the index that only this key signs: there is one for each key while keys are changed. */
export function indexOfKey(fingerprint: string): string {
  return `index-${fingerprint.slice(-16).toLowerCase()}.asc`;
}

/** The names of the indexes in `dir`, of whatever keys. */
export async function listIndexes(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name === INDEX_FILE || INDEX_OF_KEY.test(name));
}

/** The public keys of the repository in `dir`; none where there is no key file. @throws TSB_KEY_INVALID */
export async function readRepositoryKeys(dir: string): Promise<PublicKey[]> {
  const path = join(dir, KEY_FILE);
  const text = await readIfPresent(path);
  return text === undefined ? [] : readKeyring(Buffer.from(text), path);
}

/** Writes `keys` into the key file where it holds something else. */
export async function writeRepositoryKeys(dir: string, keys: readonly PublicKey[]): Promise<void> {
  const text = keys.map((key) => `${key.armor().replaceAll('\r\n', '\n').trimEnd()}\n`).join('');
  const path = join(dir, KEY_FILE);
  if ((await readIfPresent(path)) !== text) await writeDurably(path, text, 0o644);
}

/** The index as it is, verified. */
export interface PresentIndex {
  readonly sections: readonly IndexSection[];
  /** Of the key that signed it, upper-case hex; undefined when there is no index yet. */
  readonly signedBy: string | undefined;
  /** When its signature stops to hold, or has; undefined where it holds for as long as the key does. */
  readonly expiresAt?: Date | undefined;
}

/**
 * Reads `index.asc`, signed by one of `keys`. A signature that has expired still vouches here: signing again is what is to be done
 * about it.
 *
 * @throws TSB_SIGNATURE_*, TSB_INDEX_UNSIGNED when it was not signed by them as it is
 */
export async function readPresentIndex(dir: string, keys: readonly PublicKey[]): Promise<PresentIndex> {
  const path = join(dir, INDEX_FILE);
  const text = await readIfPresent(path);
  if (text === undefined) return { sections: [], signedBy: undefined };
  try {
    const data = Buffer.from(text);
    const verified = await verifyAtAnyAge(data, { name: path, keys });
    return {
      sections: splitIndex(verified.text),
      signedBy: verified.primaryFingerprint.toUpperCase(),
      expiresAt: verified.expiresAt,
    };
  } catch (error) {
    if (!(error instanceof TsbuilderError)) throw error;
    throw new TsbuilderError(error.code, error.message, {
      hint: 'An index that something else has changed is never signed again: put a copy back that is signed by the key of this repository.',
      details: error.details,
      cause: error,
    });
  }
}

async function verifyAtAnyAge(
  data: Uint8Array,
  judge: { name: string; keys: readonly PublicKey[] },
): ReturnType<typeof verifyClearsigned> {
  try {
    return await verifyClearsigned(data, judge);
  } catch (error) {
    if (!(error instanceof TsbuilderError && error.code === 'TSB_SIGNATURE_EXPIRED')) throw error;
    return verifyClearsigned(data, { ...judge, now: await signedAt(data) });
  }
}

/** When the newest signature of a clearsigned text claims to have been made. */
async function signedAt(data: Uint8Array): Promise<Date> {
  const { readCleartextMessage } = await import('openpgp');
  const message = await readCleartextMessage({ cleartextMessage: Buffer.from(data).toString('utf8') });
  const signatures = await Promise.all((await message.verify([])).map(({ signature }) => signature));
  const times = signatures.flatMap(({ packets }) => packets.map(({ created }) => Number(created ?? 0)));
  return new Date(Math.max(0, ...times));
}

/** An index that is signed, and the name that it gets. */
export interface SignedIndex {
  readonly name: string;
  readonly data: string;
}

/**
 * The indexes of the repository with `text`, each signed: `index.asc`, by the last of `signers`, is the last.
 *
 * @throws TSB_SIGNATURE_* when one would not be accepted by readers, and what a signer throws
 */
export async function signIndexes(
  dir: string,
  text: string,
  options: SignOptions & { readonly signers: readonly IndexSigner[] },
): Promise<readonly SignedIndex[]> {
  const { signers } = options;
  const present = await readdir(dir);
  const signed: SignedIndex[] = [];
  for (const signer of signers) {
    const own = indexOfKey(signer.fingerprint);
    const isMain = signer === signers.at(-1);
    const data = await signIndex(text, signer, options);
    if (!isMain || present.includes(own)) signed.push({ name: own, data });
    if (isMain) signed.push({ name: INDEX_FILE, data });
  }
  return signed;
}

/** Puts indexes in place, in their order; each is replaced at once. @throws TSB_NO_SPACE, TSB_OUTPUT_UNUSABLE, TSB_IO */
export async function putIndexes(dir: string, indexes: readonly SignedIndex[]): Promise<void> {
  for (const { name, data } of indexes) await writeDurably(join(dir, name), data, 0o644);
}

/** Takes away the indexes of keys that are not of the repository any more: nobody would bring them up to date. */
export async function removeOtherIndexes(dir: string, signers: readonly IndexSigner[]): Promise<void> {
  const own = signers.map(({ fingerprint }) => indexOfKey(fingerprint));
  for (const name of (await readdir(dir)).filter((one) => INDEX_OF_KEY.test(one)))
    if (!own.includes(name)) await rm(join(dir, name), { force: true });
}

/** The text of a file; undefined when there is none. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
