import { TsbuilderError } from '../../errors.js';
import { splitIndex } from '../../index-repo/publish-entry.js';
import { INDEX_FILE, indexOfKey, readRepositoryKeys } from '../../index-repo/publish-folder.js';
import { verifyClearsigned } from '../../index-repo/signature.js';
import type { PublishTarget } from './publish-target.js';
import type { VerifiedRepository } from './published-files.js';

/** What is to be published where. */
interface Replacement extends Pick<VerifiedRepository, 'content' | 'signedAt'> {
  /** Folder of the repository. */
  readonly dir: string;
  readonly target: Pick<PublishTarget, 'name' | 'readText'>;
  readonly signal?: AbortSignal | undefined;
}

type Keys = Awaited<ReturnType<typeof readRepositoryKeys>>;

/** Codes of an index that no key of the repository has signed, or that is none. */
const FOREIGN = ['TSB_SIGNATURE_WRONG_KEY', 'TSB_SIGNATURE_BAD', 'TSB_INDEX_UNSIGNED', 'TSB_INDEX_SYNTAX'];
const HINT = 'Check the target. --force publishes there all the same.';

/**
 * Refuses to put a repository in the place of another one, or of a newer state of itself, and to give a name that clients know by its
 * checksum to other content: until the new index is there, they would get what does not match.
 *
 * @param former the index of the target
 * @throws TSB_OUTPUT_EXISTS, TSB_SIGNATURE_ROLLBACK
 */
export async function assertReplaceable(former: string, replacement: Replacement): Promise<void> {
  const { dir, signedAt, content } = replacement;
  const { name: target } = replacement.target;
  const there = await signedByUs(former, replacement);
  if (there && there > signedAt) {
    const times = `${there.toISOString()}, the one of ${dir} on ${signedAt.toISOString()}`;
    throw new TsbuilderError(
      'TSB_SIGNATURE_ROLLBACK',
      `${target}: has a newer index: it was signed on ${times}`,
      { hint: `Clients that have seen that one would refuse this one. ${HINT}` },
    );
  }
  const checksums = new Map(content.map(({ name, sha512 }) => [name, sha512]));
  const other = splitIndex(former).find(
    ({ file = '', sha512 }) => (checksums.get(file) ?? sha512) !== sha512,
  );
  if (!other) return;
  throw new TsbuilderError(
    'TSB_OUTPUT_EXISTS',
    `${target}: its index names ${other.file} too, with another content (SHA-512 ${other.sha512})`,
    { hint: `Whoever uses that index could not get it any more: publish a new revision. ${HINT}` },
  );
}

/** @returns when the index was signed, if that can be told @throws TSB_OUTPUT_EXISTS when no key of the repository has signed it */
async function signedByUs(former: string, replacement: Replacement): Promise<Date | undefined> {
  const { dir, target } = replacement;
  const keys = await readRepositoryKeys(dir);
  try {
    return (await verifyClearsigned(Buffer.from(former), { name: INDEX_FILE, keys })).createdAt;
  } catch (error) {
    if (!(error instanceof TsbuilderError)) throw error;
    // Of a key that is ours, though it has expired meanwhile, or the signature has.
    if (!FOREIGN.includes(error.code)) return undefined;
    const announced = await announcedAt(keys, replacement);
    if (announced) return announced;
    throw new TsbuilderError(
      'TSB_OUTPUT_EXISTS',
      `${target.name}: has an ${INDEX_FILE} that no key of ${dir} has signed: ${error.message}`,
      { hint: `It seems to be another repository. ${HINT}`, cause: error },
    );
  }
}

/**
 * When the index was signed that the target has of one of `keys` beside `index.asc`: while keys change, a key that is to come has one there.
 * When the key before it has been retired, that index shows whose the target is.
 */
async function announcedAt(keys: Keys, { target, signal }: Replacement): Promise<Date | undefined> {
  for (const key of keys) {
    const name = indexOfKey(key.getFingerprint());
    const text = await target.readText(name, { signal });
    if (text === undefined) continue;
    try {
      return (await verifyClearsigned(Buffer.from(text), { name, keys: [key] })).createdAt;
    } catch (error) {
      if (!(error instanceof TsbuilderError)) throw error;
    }
  }
  return undefined;
}
