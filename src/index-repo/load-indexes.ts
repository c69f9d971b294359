import { join } from 'node:path';
import { EXIT, TsbuilderError } from '../errors.js';
import { fetchSmall } from '../io/fetch-small.js';
import { retryTimeout } from '../io/http-timeout.js';
import { redactUrl } from '../io/redact-url.js';
import { parseLocation } from '../io/source-location.js';
import type { Progress } from '../progress.js';
import { isAway } from './away-sources.js';
import { DocumentStore } from './document-store.js';
import { parseIndex } from './index-file.js';
import { MAX_INDEX_BYTES } from './index-lexer.js';
import type { VerifiedSignature } from './judge-signature.js';
import { DocumentReader } from './read-document.js';
import { RollbackMemory } from './rollback.js';
import { loadSimplestreams } from './simplestreams.js';
import type { SourceConfig } from './source-config.js';
import { keyFilesByFingerprint, trustedKeys } from './source-keys.js';
import type { SourceRef, TemplateEntry } from './template-entry.js';
import { cacheFolder, stateFolder } from './user-folders.js';

const SHORT_DEADLINE_MS = 5000;

/** Fetches a small file; for tests to replace. */
export type Fetch = (
  url: string,
  options: {
    maxBytes: number;
    proxy?: string | undefined;
    deadlineMs?: number | undefined;
    maxAttempts?: number | undefined;
    signal?: AbortSignal | undefined;
  },
) => Promise<{ data: Uint8Array }>;

/** How indexes are loaded. */
export interface LoadOptions {
  readonly progress: Progress;
  /** Use only files of this machine and copies of what was verified before. */
  readonly offline?: boolean | undefined;
  /** False with `--no-check-signature`. Default true. */
  readonly checkSignature?: boolean | undefined;
  /** Accept an index older than one seen before, and forget the newer one. */
  readonly allowRollback?: boolean | undefined;
  /** Folder of the cache. Default: the user's. */
  readonly cacheDir?: string | undefined;
  /** Folder of what must outlive the cache. Default: the user's. */
  readonly stateDir?: string | undefined;
  /**
   * For all attempts to fetch one file, in milliseconds. Default: 20 s, but 5 s where a copy of the index could serve, or where
   * the server was away a short while ago and there are other sources.
   */
  readonly deadlineMs?: number | undefined;
  readonly fetch?: Fetch | undefined;
  /** Default: the clock. */
  readonly now?: Date | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One source after it was loaded, or after that failed. */
export interface LoadedIndex {
  readonly source: SourceRef;
  /** Empty when it failed. */
  readonly entries: readonly TemplateEntry[];
  /** `remembered`: a copy from an earlier run, verified again. */
  readonly origin: 'fetched' | 'remembered';
  /** When the index was signed; undefined when that was not checked. */
  readonly createdAt?: Date | undefined;
  /** Why the source could not be used. */
  readonly error?: TsbuilderError | undefined;
  /** Why its server could not be reached, where a copy of the index serves instead. */
  readonly away?: TsbuilderError | undefined;
  /** Since when the server is known to be away, if that was noted within the last hour. */
  readonly awaySince?: Date | undefined;
}

/**
 * Fetches, verifies and parses the indexes of all sources at once. A source that cannot be used has its error in the
 * result, as long as another can be: whoever finds no template then knows why. A source that is merely away is replaced
 * by the last copy of it that was verified, and whether to tell is left to the caller (`noteOfAway`); one with a bad
 * signature never is, and is warned about.
 *
 * @returns one result for each source, in order
 * @throws TSB_NO_SOURCE when there is none; the most serious error when all have failed
 */
export async function loadIndexes(
  sources: readonly SourceConfig[],
  options: LoadOptions,
): Promise<LoadedIndex[]> {
  if (sources.length === 0) {
    throw new TsbuilderError('TSB_NO_SOURCE', 'no source of templates is configured', {
      hint: 'Add one with: tsbuilder source add NAME URL --key FILE',
    });
  }
  const isOnly = sources.length === 1;
  const loaded = await Promise.all(sources.map((source) => loadOrExplain(source, { ...options, isOnly })));
  const failures = failuresOf(loaded);
  if (failures.length === loaded.length) throw mostSerious(failures);
  for (const index of loaded) tellFailure(index, options.progress);
  return loaded;
}

/** All entries, in the order of their sources. */
export function entriesOf(loaded: readonly LoadedIndex[]): TemplateEntry[] {
  return loaded.flatMap(({ entries }) => entries);
}

/** The errors of the sources that could not be used. */
export function failuresOf(loaded: readonly LoadedIndex[]): TsbuilderError[] {
  return loaded.flatMap(({ error }) => error ?? []);
}

/** A source that may be under attack before one that is merely away. */
function mostSerious(failures: readonly TsbuilderError[]): TsbuilderError {
  return failures.reduce((worst, next) =>
    worst.exit !== EXIT.signature && next.exit === EXIT.signature ? next : worst,
  );
}

function tellFailure(index: LoadedIndex, progress: Progress): void {
  const { source, error, away } = index;
  if (away) progress.detail(`${away.message}; using the copy of its index`);
  if (!error) return;
  const text = `source ${source.name} is not used: ${error.message}`;
  if (isAway(index)) progress.detail(text);
  else progress.warn(text);
}

interface SourceLoadOptions extends LoadOptions {
  /** Whether there are no other sources. */
  readonly isOnly: boolean;
}

async function loadOrExplain(source: SourceConfig, options: SourceLoadOptions): Promise<LoadedIndex> {
  try {
    return await loadOne(source, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof TsbuilderError)) throw error;
    return failed(source, error);
  }
}

function failed(source: SourceConfig, error: TsbuilderError): LoadedIndex {
  const ref = sourceRef(source, { keyFile: source.keyFiles[0], checked: false });
  return { source: ref, entries: [], origin: 'fetched', error };
}

async function loadOne(source: SourceConfig, options: SourceLoadOptions): Promise<LoadedIndex> {
  const { offline = false, checkSignature = true } = options;
  if (source.problem && checkSignature) throw source.problem;
  const keys = checkSignature ? await trustedKeys(source, options) : undefined;
  const store = new DocumentStore(join(options.cacheDir ?? cacheFolder(), 'indexes'));
  const load = (fetch: Loader['fetch'], origin: Loader['origin']): Promise<LoadedIndex> =>
    loadWith({ source, keys, fetch, origin, store, options });
  const isLocal = parseLocation(source.uri).kind === 'file';
  if (isLocal) return load(fetchOver(source, options), 'fetched');
  if (offline) return load(readStored(store), 'remembered');
  const awaySince = await store.awaySince(source.uri);
  const isDispensable = (awaySince !== undefined && !options.isOnly) || (await store.has(source.uri));
  try {
    const patience = isDispensable ? { ...inHaste(), ...options } : options;
    const index = await load(fetchOver(source, patience), 'fetched');
    if (awaySince) await store.noteBack(source.uri);
    return index;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof TsbuilderError) || error.exit !== EXIT.network) throw error;
    const remembered = await load(readStored(store), 'remembered').catch(() => undefined);
    if (!awaySince) await store.noteAway(source.uri);
    return remembered ? { ...remembered, away: error, awaySince } : { ...failed(source, error), awaySince };
  }
}

function inHaste(): { deadlineMs: number; maxAttempts: number } {
  return { deadlineMs: Math.min(SHORT_DEADLINE_MS, retryTimeout()), maxAttempts: 1 };
}

interface Loader {
  readonly source: SourceConfig;
  readonly keys: Awaited<ReturnType<typeof trustedKeys>> | undefined;
  readonly fetch: (url: string) => Promise<Uint8Array>;
  readonly origin: LoadedIndex['origin'];
  readonly store: DocumentStore;
  readonly options: LoadOptions;
}

async function loadWith(loader: Loader): Promise<LoadedIndex> {
  const { source, keys, fetch, origin, store, options } = loader;
  const { allowRollback = false, progress, now } = options;
  const files = keys && source.keyFiles.length > 1 ? await keyFilesByFingerprint(source, options) : undefined;
  const memory = new RollbackMemory(join(options.stateDir ?? stateFolder(), 'signatures'));
  const reader = new DocumentReader({ fetch, keys, memory, allowRollback, progress, now });
  const ref = (signature: VerifiedSignature | undefined): SourceRef =>
    sourceRef(source, {
      fingerprint: signature?.primaryFingerprint,
      keyFile: files?.get(signature?.primaryFingerprint ?? '') ?? source.keyFiles[0],
      checked: keys !== undefined,
    });
  const index =
    source.format === 'simplestreams'
      ? await loadSimplestreams(reader, source.uri, ref)
      : await loadNative(reader, source.uri, ref);
  const keep = parseLocation(source.uri).kind === 'http' && origin === 'fetched';
  await reader.remember(keep ? store : undefined);
  return { ...index, origin };
}

async function loadNative(
  reader: DocumentReader,
  uri: string,
  ref: (signature: VerifiedSignature | undefined) => SourceRef,
): Promise<Omit<LoadedIndex, 'origin'>> {
  const { text, firstLine, signature } = await reader.read(uri);
  const source = ref(signature);
  const entries = parseIndex(text, { url: uri, firstLine, source });
  return { source, entries, createdAt: signature?.createdAt };
}

function fetchOver(
  source: SourceConfig,
  options: LoadOptions & { readonly maxAttempts?: number | undefined },
): Loader['fetch'] {
  const { signal, deadlineMs, maxAttempts, fetch = fetchSmall } = options;
  const limits = {
    maxBytes: MAX_INDEX_BYTES,
    ...(deadlineMs !== undefined && { deadlineMs }),
    ...(maxAttempts !== undefined && { maxAttempts }),
  };
  return async (url) => (await fetch(url, { ...limits, proxy: source.proxy, signal })).data;
}

function readStored(store: DocumentStore): Loader['fetch'] {
  return async (url) => {
    const data = await store.read(url);
    if (data) return data;
    throw new TsbuilderError('TSB_OFFLINE', `${redactUrl(url)}: no verified copy of it on this machine`, {
      hint: 'Run once with the network; the index is kept then.',
    });
  };
}

function sourceRef(
  { name, uri, format, proxy }: SourceConfig,
  trust: Pick<SourceRef, 'fingerprint' | 'keyFile' | 'checked'>,
): SourceRef {
  return { name, uri, format, proxy, ...trust };
}
