import { withLock } from '../io/lock-file.js';
import { type IndexSection, formatIndex } from './publish-entry.js';
import { lockPath, readPresentIndex, writeIndexes, writeRepositoryKeys } from './publish-folder.js';
import { type IndexSigner, publicKeysOf } from './publish-signer.js';
import { endJournal, sweepRevisions } from './publish-strays.js';
import { parseIndex } from './index-file.js';

/** Who writes a repository, and how. */
export interface Publisher {
  readonly dir: string;
  /** One for each key of the repository; the last signs `index.asc`. */
  readonly signers: readonly IndexSigner[];
  /** Who may have signed the present index instead, while keys change. */
  readonly formerSigners?: readonly IndexSigner[] | undefined;
  /** How many former revisions of a template stay, for clients that still hold an older index. */
  readonly keep: number;
  /** Milliseconds after which the signature no longer holds. */
  readonly expiresMs?: number | undefined;
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
 * @throws TSB_SIGNATURE_* when the present index is not signed by a key of the repository, and what `edit` throws
 */
export async function changeRepository<T>(
  publisher: Publisher,
  edit: IndexEdit<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { dir, signers, formerSigners = [] } = publisher;
  return withLock(lockPath(dir), { signal }, async () => {
    const { sections } = await readPresentIndex(dir, await publicKeysOf([...formerSigners, ...signers]));
    await endJournal(dir);
    await sweepRevisions(dir, { ...publisher, spares: () => true });
    try {
      const { change, result } = await edit(sections);
      signal?.throwIfAborted();
      await writeRepositoryKeys(dir, signers);
      await writeIndexes(dir, checkedText(change.sections), { ...publisher, signal });
      const spared = change.spare ?? [];
      await sweepRevisions(dir, { ...publisher, spares: (stem) => spared.includes(stem) });
      return result;
    } finally {
      await endJournal(dir);
    }
  });
}

/** The text of an index, which readers accept. @throws TSB_INDEX_SYNTAX, TSB_INDEX_INVALID when they would not */
export function checkedText(sections: readonly IndexSection[]): string {
  const text = formatIndex(sections);
  const name = 'the new index';
  parseIndex(text, { url: name, source: { name, uri: name, format: 'native', checked: false } });
  return text;
}
