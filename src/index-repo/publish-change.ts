import type { PublicKey } from 'openpgp';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { type IndexSection, formatIndex } from './publish-entry.js';
import {
  INDEX_FILE,
  putIndexes,
  readIfPresent,
  readPresentIndex,
  readRepositoryKeys,
  removeOtherIndexes,
  signIndexes,
  writeRepositoryKeys,
} from './publish-folder.js';
import { type WriterTurn, asWriter } from './publish-lock.js';
import { type IndexSigner, publicKeysOf } from './publish-signer.js';
import { endJournal, sweepRevisions } from './publish-strays.js';
import { parseIndex } from './index-file.js';

/** Who writes a repository, and how. */
export interface Publisher {
  readonly dir: string;
  /** One for each key of the repository; the last signs `index.asc`. */
  readonly signers: readonly IndexSigner[];
  /** The keys of the repository where they change: one of them has signed the present index. */
  readonly formerKeys?: readonly PublicKey[] | undefined;
  /** How many former revisions of a template stay, for clients that still hold an older index. */
  readonly keep: number;
  /** Milliseconds after which the signature no longer holds. */
  readonly expiresMs?: number | undefined;
  /** Told where another writer has to be waited for. */
  readonly warn?: WriterTurn['warn'];
}

/** What a change makes of an index. */
export interface IndexChange {
  readonly sections: readonly IndexSection[];
  /** NAME-ARCH of templates whose files stay although the new index does not name them. */
  readonly spare?: readonly string[] | undefined;
}

/** Works out the new index from the present one, with the new index's files in place when it returns. */
export type IndexEdit<T> = (
  sections: readonly IndexSection[],
) => Promise<{ readonly change: IndexChange; readonly result: T }>;

/**
 * Changes a repository: one writer at a time, nothing on top of an index that something else has changed, the new index in place at
 * once and last, and what nobody needs any more taken away. A crash at any point leaves the old repository or the new one.
 *
 * @throws TSB_SIGNATURE_* when the present index is not signed by a key of the repository, TSB_CONTENT_CHANGED when its keys are no longer
 *   those that the publisher knows, and what `edit` throws
 */
export async function changeRepository<T>(
  publisher: Publisher,
  edit: IndexEdit<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { dir, signers, warn } = publisher;
  return asWriter(dir, { warn, signal }, async () => {
    const keys = await publicKeysOf(signers);
    const formerKeys = publisher.formerKeys ?? keys;
    const { sections } = await readPresentIndex(dir, formerKeys);
    await assertKeysAre(dir, formerKeys);
    await endJournal(dir);
    await sweepRevisions(dir, { ...publisher, spares: () => true });
    try {
      const { change, result } = await edit(sections);
      signal?.throwIfAborted();
      const indexes = await signIndexes(dir, checkedText(change.sections), { ...publisher, signal });
      // At no moment is there an index that no key of the key file has signed.
      await writeRepositoryKeys(dir, [...keysNotIn(formerKeys, keys), ...formerKeys]);
      await putIndexes(dir, indexes);
      await writeRepositoryKeys(dir, keys);
      await removeOtherIndexes(dir, signers);
      const spared = change.spare ?? [];
      await sweepRevisions(dir, { ...publisher, spares: (stem) => spared.includes(stem) });
      return result;
    } finally {
      await endJournal(dir);
    }
  });
}

/** Refuses to write the key file and the indexes for other keys than those that another writer has put there meanwhile. */
async function assertKeysAre(dir: string, expected: readonly PublicKey[]): Promise<void> {
  if ((await readIfPresent(join(dir, INDEX_FILE))) === undefined) return;
  const found = await readRepositoryKeys(dir);
  if (found.length === expected.length && keysNotIn(expected, found).length === 0) return;
  throw new TsbuilderError('TSB_CONTENT_CHANGED', `${dir}: its keys have been changed meanwhile`, {
    hint: 'Run the command again.',
  });
}

/** The keys of `keys` that are not among `some`. */
function keysNotIn(some: readonly PublicKey[], keys: readonly PublicKey[]): PublicKey[] {
  const fingerprints = some.map((key) => key.getFingerprint());
  return keys.filter((key) => !fingerprints.includes(key.getFingerprint()));
}

/** The text of an index, which readers accept. @throws TSB_INDEX_SYNTAX, TSB_INDEX_INVALID when they would not */
export function checkedText(sections: readonly IndexSection[]): string {
  const text = formatIndex(sections);
  const name = 'the new index';
  parseIndex(text, { url: name, source: { name, uri: name, format: 'native', checked: false } });
  return text;
}
