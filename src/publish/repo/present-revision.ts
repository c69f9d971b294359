import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { parseIndex } from '../../index-repo/index-file.js';
import { type IndexSection, formatIndex } from '../../index-repo/publish-entry.js';
import { INDEX_FILE } from '../../index-repo/publish-folder.js';
import { fetchBlockMap } from '../../index-repo/template-block-map.js';
import { openFileSource } from '../../io/file-source.js';
import type { Progress } from '../../progress.js';
import type { BlockMap } from '../../xz/block-map.js';
import { blockVerifier, readVerifiedIndex } from '../../xz/check-block-map.js';
import type { PackedBefore } from '../../xz/encode-reuse.js';

/** Where the present revision is, and how the next one is going to be packed. */
export interface PresentOptions {
  /** Folder of the repository. */
  readonly dir: string;
  /** `packingName` of the next revision. */
  readonly packing: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The revision of a template that the next one may take blocks from. Disposing it closes the file. */
export type PresentRevision = PackedBefore & AsyncDisposable;

/**
 * Opens the file of the present revision of a template, from its `section` of the verified index, when it was packed as the next one
 * will be: nothing of it is used that the signed index, by way of the block map, does not vouch for. Undefined when there is none such; a file that
 * is damaged or gone is warned of.
 *
 * @throws the reason when `signal` is aborted
 */
export async function openPresentRevision(
  section: IndexSection | undefined,
  options: PresentOptions,
): Promise<PresentRevision | undefined> {
  if (!section) return undefined;
  const { dir, packing, progress, signal } = options;
  const url = join(dir, INDEX_FILE);
  const source = { name: dir, uri: url, format: 'native', checked: true } as const;
  const [entry] = parseIndex(formatIndex([section]), { url, source });
  if (entry?.packing !== packing) return undefined;
  let warned = false;
  const onDamage = (error: TsbuilderError): void => {
    if (!warned)
      progress.warn(
        `${section.name}: packed anew where its present revision cannot be used: ${error.message}`,
      );
    warned = true;
  };
  try {
    const map = await fetchBlockMap(entry, { signal });
    return map && { ...(await openVerified(entry.url, map, signal)), onDamage };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TsbuilderError)) throw error;
    onDamage(error);
    return undefined;
  }
}

async function openVerified(
  path: string,
  map: BlockMap,
  signal: AbortSignal,
): Promise<Omit<PresentRevision, 'onDamage'>> {
  const source = await openFileSource(path);
  const close = async (): Promise<void> => source[Symbol.asyncDispose]();
  try {
    const index = await readVerifiedIndex(source, map, signal);
    return { source, index, verify: blockVerifier(source, map), [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
