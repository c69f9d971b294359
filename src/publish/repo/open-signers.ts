import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { INDEX_FILE, KEY_FILE, readRepositoryKeys } from '../../index-repo/publish-folder.js';
import { openGpgKey } from '../../index-repo/publish-gpg.js';
import { openKeyFile } from '../../index-repo/publish-key.js';
import type { IndexSigner } from '../../index-repo/publish-signer.js';
import { dataFolder } from '../../index-repo/user-folders.js';
import { cautionsOf } from '../../index-repo/signer-cautions.js';

/** Which keys sign a repository. */
export interface SignerRequest {
  /** Files with secret keys. */
  readonly keys: readonly string[];
  /** Keys of the user's GnuPG. */
  readonly gpgKeys: readonly string[];
  /** A file with the passphrase, for GnuPG. */
  readonly passphraseFile?: string | undefined;
  /** The passphrase, for GnuPG, where there is no file. */
  readonly passphraseText?: string | undefined;
  /** The passphrase of the key file at a path. */
  readonly passphrase: (path: string) => Promise<string>;
  /** How long signatures are to hold, in milliseconds, where that is limited. */
  readonly expiresMs?: number | undefined;
  /** Told what should be known of a key that is used. */
  readonly warn?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the secret half of a key that `repo init` makes is kept. */
export function keptKeyPath(fingerprint: string): string {
  return join(dataFolder(), 'keys', `${fingerprint.toLowerCase()}.asc`);
}

/**
 * The keys that were named on the command line, ready to sign.
 *
 * @throws TSB_KEY_INVALID when one is missing or cannot sign, TSB_TOOL_MISSING without gpg
 */
export async function namedSigners(request: SignerRequest): Promise<IndexSigner[]> {
  const signers: IndexSigner[] = [];
  for (const path of request.keys)
    signers.push((await openKeyFile(path, request)) ?? missing(path, 'no such file'));
  for (const id of request.gpgKeys)
    signers.push(
      (await openGpgKey(id, request)) ?? missing(`gpg key ${id}`, 'GnuPG has no secret key of that name'),
    );
  for (const signer of signers) await tellCautions(signer, request);
  return signers;
}

async function tellCautions(signer: IndexSigner, { expiresMs, warn }: SignerRequest): Promise<void> {
  if (warn) for (const caution of await cautionsOf(signer, expiresMs)) warn(caution);
}

/**
 * The signers of the repository in `dir`, one for each of its keys and in their order: those named on the command line, else the key
 * files that `repo init` made, else the user's GnuPG.
 *
 * @param request.without fingerprint of a key, upper-case hex, that is not to sign, and whose secret half need not be there
 * @throws TSB_NOT_FOUND when it is no repository, TSB_KEY_INVALID when a key is missing, cannot sign, or is not the repository's
 */
export async function repositorySigners(
  dir: string,
  request: SignerRequest & { readonly without?: string | undefined },
): Promise<IndexSigner[]> {
  const keys = await readRepositoryKeys(dir);
  if (keys.length === 0) {
    throw new TsbuilderError('TSB_NOT_FOUND', `${dir}: no repository: it has no ${KEY_FILE}`, {
      hint: `Make one: tsbuilder repo init ${dir}. Beside an ${INDEX_FILE} of other origin, put the public key that signed it.`,
    });
  }
  const fingerprints = keys.map((key) => key.getFingerprint().toUpperCase());
  const named = await namedSigners(request);
  const other = named.find(({ fingerprint }) => !fingerprints.includes(fingerprint));
  if (other) {
    throw new TsbuilderError(
      'TSB_KEY_INVALID',
      `${other.keptIn}: key ${other.fingerprint} is not of the repository ${dir}, which has ${fingerprints.join(', ')}`,
      { hint: 'To change keys: tsbuilder repo sign --new-key.' },
    );
  }
  const signers: IndexSigner[] = [];
  for (const fingerprint of fingerprints.filter((one) => one !== request.without))
    signers.push(
      named.find((one) => one.fingerprint === fingerprint) ?? (await keptSigner(fingerprint, request)),
    );
  return signers;
}

async function keptSigner(fingerprint: string, request: SignerRequest): Promise<IndexSigner> {
  const path = keptKeyPath(fingerprint);
  const kept = (await openKeyFile(path, request)) ?? (await inGpg(fingerprint, request));
  if (kept) await tellCautions(kept, request);
  return kept ?? missing(`key ${fingerprint}`, `its secret half is neither in ${path} nor in GnuPG`);
}

async function inGpg(fingerprint: string, request: SignerRequest): Promise<IndexSigner | undefined> {
  try {
    return await openGpgKey(fingerprint, request);
  } catch (error) {
    if (error instanceof TsbuilderError && /^TSB_TOOL_/.test(error.code)) return undefined;
    throw error;
  }
}

function missing(what: string, why: string): never {
  throw new TsbuilderError('TSB_KEY_INVALID', `${what}: cannot be used to sign: ${why}`, {
    hint: 'Name the secret key with --key FILE or --gpg-key ID. A key that is lost can be given up: tsbuilder repo sign --retire.',
  });
}
