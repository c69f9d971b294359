import { TsbuilderError } from '../../errors.js';
import { parseFingerprint } from '../../index-repo/keyring.js';
import type { Publisher } from '../../index-repo/publish-change.js';
import { readPresentIndex, readRepositoryKeys } from '../../index-repo/publish-folder.js';
import type { IndexSigner } from '../../index-repo/publish-signer.js';
import { newSigner } from './init-repository.js';
import { type SignerRequest, namedSigners, repositorySigners } from './open-signers.js';

/** How the keys of a repository change. */
export interface KeyChange {
  /** A key to come: `generate`, `gpg:ID` or the path of a secret key. */
  readonly newKey?: string | undefined;
  /** Fingerprint of a key that goes. */
  readonly retire?: string | undefined;
}

/** Public keys. */
type Keys = NonNullable<Publisher['formerKeys']>;

/** The keys of a repository before and after a change. */
export interface ChangedKeys {
  readonly signers: readonly IndexSigner[];
  readonly formerKeys: Keys;
}

/**
 * The signers of the repository in `dir` after a change of its keys. A new key comes in front: `index.asc` stays signed by the key that
 * clients know until that one is retired. The key that is retired need not be able to sign, nor its secret half be there.
 *
 * @throws TSB_USAGE when the key to retire is not there or is the only one, TSB_SIGNATURE_* when the index is not signed by a key of the
 *   repository, and the codes of `repositorySigners` and `namedSigners`
 */
export async function changedSigners(
  dir: string,
  change: KeyChange,
  request: SignerRequest,
): Promise<ChangedKeys> {
  const formerKeys = await readRepositoryKeys(dir);
  const without = change.retire === undefined ? undefined : parseFingerprint(change.retire).toUpperCase();
  if (without !== undefined && formerKeys.length > 0) assertRetirable(without, formerKeys, change);
  const signers = await repositorySigners(dir, { ...request, without });
  // Before a key is made that would be of no use.
  await readPresentIndex(dir, formerKeys);
  if (change.newKey === undefined) return { signers, formerKeys };
  const added = await openNewKey(change.newKey, request);
  if (fingerprintsOf(formerKeys).includes(added.fingerprint))
    throw new TsbuilderError('TSB_USAGE', `key ${added.fingerprint} is of this repository already`);
  return { signers: [added, ...signers], formerKeys };
}

async function openNewKey(newKey: string, request: SignerRequest): Promise<IndexSigner> {
  if (newKey === 'generate') return newSigner('tsbuilder repository');
  const id = /^gpg:(.+)$/.exec(newKey)?.[1];
  const named = { keys: id === undefined ? [newKey] : [], gpgKeys: id === undefined ? [] : [id] };
  const [signer] = await namedSigners({ ...request, ...named });
  if (signer) return signer;
  throw new TsbuilderError('TSB_KEY_INVALID', `${newKey}: no key`);
}

function assertRetirable(fingerprint: string, keys: Keys, { newKey }: KeyChange): void {
  const known = fingerprintsOf(keys);
  if (!known.includes(fingerprint)) {
    const message = `key ${fingerprint} is not of this repository, which has ${known.join(', ')}`;
    throw new TsbuilderError('TSB_USAGE', message);
  }
  if (known.length > 1 || newKey !== undefined) return;
  throw new TsbuilderError('TSB_USAGE', `key ${fingerprint} is the only one of this repository`, {
    hint: 'Replace it: tsbuilder repo sign --new-key generate --retire FINGERPRINT.',
  });
}

function fingerprintsOf(keys: Keys): string[] {
  return keys.map((key) => key.getFingerprint().toUpperCase());
}
