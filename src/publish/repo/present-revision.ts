import { join } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { parseIndex } from '../../index-repo/index-file.js';
import { type IndexSection, formatIndex } from '../../index-repo/publish-entry.js';
import { INDEX_FILE } from '../../index-repo/publish-folder.js';
import { fetchBlockMap } from '../../index-repo/template-block-map.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import { openFileSource } from '../../io/file-source.js';
import type { Progress } from '../../progress.js';
import type { BlockMap } from '../../xz/block-map.js';
import { blockVerifier, readVerifiedIndex } from '../../xz/check-block-map.js';
import type { PackedBefore } from '../../xz/encode-reuse.js';

/** Where the present revision is, and how the next one is going to be packed. */
export interface PresentOptions {
  /** `packingName` of the next revision. */
  readonly packing: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The revision of a template that the next one may take blocks from. Disposing it closes the file. */
export type PresentRevision = PackedBefore & AsyncDisposable;

/** What the verified index of the repository in `dir` says of a template in `section`. @throws TSB_INDEX_SYNTAX, TSB_INDEX_INVALID */
export function readSection(dir: string, section: IndexSection): TemplateEntry | undefined {
  const url = join(dir, INDEX_FILE);
  const source = { name: dir, uri: url, format: 'native', checked: true } as const;
  return parseIndex(formatIndex([section]), { url, source })[0];
}

/**
 * Opens the file of the present revision of a template, from its `entry` in the verified index, when it was packed as the next one
 * will be: nothing of it is used that the signed index, by way of the block map, does not vouch for. Undefined when there is none such; a file that
 * is damaged or gone is warned of.
 *
 * @throws the reason when `signal` is aborted
 */
export async function openPresentRevision(
  entry: TemplateEntry | undefined,
  options: PresentOptions,
): Promise<PresentRevision | undefined> {
  const { packing, progress, signal } = options;
  if (entry?.packing !== packing) return undefined;
  let warned = false;
  const onDamage = (error: TsbuilderError): void => {
    if (!warned)
      progress.warn(`${entry.name}: packed anew where its present revision cannot be used: ${error.message}`);
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
