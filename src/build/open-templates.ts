import type { TsbuilderError } from '../errors.js';
import { noteOfAway } from '../index-repo/away-sources.js';
import { entriesOf, failuresOf, loadIndexes } from '../index-repo/load-indexes.js';
import { rivalsOf, selectTemplate } from '../index-repo/select-template.js';
import { loadSources } from '../index-repo/sources.js';
import { type TemplateCache, openTemplateCache } from '../index-repo/template-cache.js';
import type { SourceRef, TemplateEntry } from '../index-repo/template-entry.js';
import { cacheFolder } from '../index-repo/user-folders.js';
import type { Progress } from '../progress.js';

/** Which indexes to read and whom to trust: the options of the command line. */
export interface TemplateQuery {
  readonly sources: readonly string[];
  readonly fingerprints: readonly string[];
  readonly keys: readonly string[];
  readonly checkSignature: boolean;
  readonly allowRollback: boolean;
  readonly cacheDir: string | undefined;
  readonly offline: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The templates that there are, and where their files are kept. */
export interface OpenedTemplates {
  readonly entries: readonly TemplateEntry[];
  readonly sources: readonly SourceRef[];
  readonly failures: readonly TsbuilderError[];
  readonly cache: TemplateCache;
  /**
   * Picks one. Warns of sources that are out of reach once an hour, and where the choice comes from the copy of an index.
   *
   * @throws TSB_NOT_FOUND, or the error of a source that could not be used
   */
  select(name: string, arch: string | undefined): TemplateEntry;
  /** What other sources have under the name of the entry chosen. */
  rivals(chosen: TemplateEntry): TemplateEntry[];
  /** Warns of sources that are out of reach: for whoever uses all entries. At most once. */
  tellAway(): void;
}

/**
 * Reads the indexes of the wanted sources.
 *
 * @throws TSB_USAGE for options that contradict each other, TSB_NO_SOURCE, and when all sources fail the worst of their errors
 */
export async function openTemplates(query: TemplateQuery): Promise<OpenedTemplates> {
  const loaded = await loadIndexes(await loadSources(query), query);
  const entries = entriesOf(loaded);
  const failures = failuresOf(loaded);
  const copies = loaded.flatMap(({ source, away }) => (away ? [source] : []));
  const away = noteOfAway(loaded);
  let told = false;
  const tellAway = (): void => {
    if (away && !told) query.progress.warn(away.text);
    told = true;
  };
  return {
    entries,
    failures,
    sources: loaded.map(({ source }) => source),
    cache: openTemplateCache(query.cacheDir ?? cacheFolder()),
    tellAway,
    rivals: (chosen) => rivalsOf(chosen, entries),
    select(name, arch) {
      const entry = selectTemplate(entries, { name, arch, failures });
      if (away?.isNew === true || copies.includes(entry.source)) tellAway();
      return entry;
    },
  };
}
