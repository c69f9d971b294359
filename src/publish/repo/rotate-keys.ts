import { TsbuilderError } from '../../errors.js';
import { parseFingerprint } from '../../index-repo/keyring.js';
import type { IndexSigner } from '../../index-repo/publish-signer.js';
import { newSigner } from './init-repository.js';
import { type SignerRequest, namedSigners } from './open-signers.js';

/** How the keys of a repository change. */
export interface KeyChange {
  /** A key to come: `generate`, `gpg:ID` or the path of a secret key. */
  readonly newKey?: string | undefined;
  /** Fingerprint of a key that goes. */
  readonly retire?: string | undefined;
}

/**
 * The signers of a repository after a change of its keys. A new key comes in front: `index.asc` stays signed by the key that clients
 * know until that one is retired.
 *
 * @throws TSB_USAGE when the key to retire is not there or is the only one, and the codes of `namedSigners`
 */
export async function changedSigners(
  present: readonly IndexSigner[],
  change: KeyChange,
  request: SignerRequest,
): Promise<IndexSigner[]> {
  const signers = [...present];
  if (change.newKey !== undefined) {
    const added = await openNewKey(change.newKey, request);
    if (signers.some(({ fingerprint }) => fingerprint === added.fingerprint))
      throw new TsbuilderError('TSB_USAGE', `key ${added.fingerprint} is of this repository already`);
    signers.unshift(added);
  }
  return change.retire === undefined ? signers : retire(signers, change.retire);
}

async function openNewKey(newKey: string, request: SignerRequest): Promise<IndexSigner> {
  if (newKey === 'generate') return newSigner('tsbuilder repository');
  const id = /^gpg:(.+)$/.exec(newKey)?.[1];
  const named = { keys: id === undefined ? [newKey] : [], gpgKeys: id === undefined ? [] : [id] };
  const [signer] = await namedSigners({ ...request, ...named });
  if (signer) return signer;
  throw new TsbuilderError('TSB_KEY_INVALID', `${newKey}: no key`);
}

function retire(signers: readonly IndexSigner[], text: string): IndexSigner[] {
  const wanted = parseFingerprint(text).toUpperCase();
  const rest = signers.filter(({ fingerprint }) => fingerprint !== wanted);
  const keys = signers.map(({ fingerprint }) => fingerprint).join(', ');
  if (rest.length === signers.length)
    throw new TsbuilderError('TSB_USAGE', `key ${wanted} is not of this repository, which has ${keys}`);
  if (rest.length === 0) {
    throw new TsbuilderError('TSB_USAGE', `key ${wanted} is the only one of this repository`, {
      hint: 'Add another first: tsbuilder repo sign --new-key generate.',
    });
  }
  return rest;
}
