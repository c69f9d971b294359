import { EXIT, TsbuilderError, messageOf } from '../errors.js';
import { openTemplates } from '../build/open-templates.js';
import { templateOrRecipe } from '../build/template-or-recipe.js';
import { fetchBlockMap } from '../index-repo/template-block-map.js';
import { type TemplateCache, type TemplateHandle, isCacheDamage } from '../index-repo/template-cache.js';
import type { TemplateEntry } from '../index-repo/template-entry.js';
import type { ByteSource } from '../io/byte-source.js';
import { countingSource } from '../io/counting-source.js';
import { openFileSource } from '../io/file-source.js';
import type { HttpOptions } from '../io/http-client.js';
import { tellRetries } from '../io/http-retry.js';
import { openHttpSource } from '../io/http-source.js';
import { parseLocation } from '../io/source-location.js';
import type { BlockMap } from '../xz/block-map.js';
import { noSuchDisk } from './disk-location.js';
import { openImage } from './open-image.js';
import { orDispose } from './or-dispose.js';
import type { ServedDisk, ServedDiskOptions } from './served-disk.js';

/** A template that was chosen, and all that opening it needs. */
interface Work {
  readonly entry: TemplateEntry;
  readonly cache: TemplateCache;
  readonly options: ServedDiskOptions;
  readonly http: HttpOptions;
}

/**
 * Opens the disk of a template. With a block map in the index every block is verified before a byte of it is used, and a template on a
 * server is never fetched as a whole; without one the whole template is fetched into the cache and verified first.
 *
 * @throws TSB_NOT_FOUND, TSB_NOT_VERIFIED, TSB_USAGE when a format is given, and what fetching, verifying and opening it throw
 */
export async function openTemplateDisk(name: string, options: ServedDiskOptions): Promise<ServedDisk> {
  const work = await chooseTemplate(name, options);
  if (options.format !== undefined)
    throw new TsbuilderError('TSB_USAGE', `${name} is a template: its index says of what format it is`);
  const map = await findMap(work);
  if (options.requireVerified === true) assertVouched(work.entry, map);
  return map ? openMapped(work, map) : openWhole(work);
}

/**
 * Opens the file of a template itself, packed as it is, after all of it has been verified; one on a server is fetched into the cache first.
 *
 * @throws as {@link openTemplateDisk}
 */
export async function openTemplateFile(name: string, options: ServedDiskOptions): Promise<ByteSource> {
  return openVerified(await chooseTemplate(name, options));
}

async function chooseTemplate(name: string, options: ServedDiskOptions): Promise<Work> {
  const { templates, arch, jobs, progress, signal, counters } = options;
  const wanted = { name, arch, recipes: 'mention', fits: () => true, jobs, progress, signal } as const;
  try {
    const { entry, cache } = await templateOrRecipe(() => openTemplates(templates), wanted);
    const http = { ...options.http, counters, proxy: entry.source.proxy ?? options.http?.proxy };
    return { entry, cache, options, http };
  } catch (error) {
    throw noSuchDisk(name, error);
  }
}

/** The block map of the template; none where it cannot be had, since the whole can then be verified instead. */
async function findMap({ entry, cache, options, http }: Work): Promise<BlockMap | undefined> {
  const { templates, progress, signal } = options;
  try {
    return await fetchBlockMap(entry, { cacheDir: cache.dir, offline: templates.offline, http, signal });
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.exit !== EXIT.network) throw error;
    progress.warn(`${messageOf(error)}; ${entry.name} is verified as a whole instead`);
    return undefined;
  }
}

function assertVouched({ name, source }: TemplateEntry, map: BlockMap | undefined): void {
  if (map && source.checked) return;
  const problem = map ? 'the signature of its index was not checked' : 'there is no block map of it';
  throw new TsbuilderError('TSB_NOT_VERIFIED', `${name}: cannot be verified block by block: ${problem}`, {
    hint: map
      ? 'Leave --no-check-signature away.'
      : 'Without --require-verified it is fetched and verified as a whole before it is used.',
  });
}

async function openMapped(work: Work, map: BlockMap): Promise<ServedDisk> {
  const { entry, options } = work;
  const protection = `every block is checked against the block map in ${indexOf(entry)} before a byte of it is used`;
  return openImage({ source: await openByRanges(work), map, inner: innerOf(entry), protection }, options);
}

/** The template's file, from wherever its bytes are nearest. */
async function openByRanges(work: Work): Promise<ByteSource> {
  const { entry, cache, options, http } = work;
  const { templates, progress, signal, counters } = options;
  const location = parseLocation(entry.url);
  const path = location.kind === 'file' ? location.path : await cache.lookup(entry);
  if (path !== undefined) return countingSource(await openFileSource(path), counters);
  try {
    const onRetry = tellRetries((sentence) => progress.warn(sentence));
    if (!templates.offline) return await openHttpSource(entry.url, { onRetry, ...http, signal });
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_NO_RANGES') throw error;
    progress.warn(`${error.message}; fetching all of ${entry.name} first`);
  }
  return openVerified(work);
}

async function openWhole(work: Work): Promise<ServedDisk> {
  const { entry, options } = work;
  const source = await openVerified(work);
  return openImage({ source, inner: innerOf(entry), protection: wholeProtection(entry) }, options);
}

/** The template's file, which has been verified as a whole. A damaged one in the cache is fetched again, once. */
async function openVerified(work: Work): Promise<ByteSource> {
  try {
    return await openVerifiedOnce(work);
  } catch (error) {
    if (!isCacheDamage(error)) throw error;
    work.options.progress.warn(`${messageOf(error)}; fetching it again`);
    return openVerifiedOnce(work);
  }
}

async function openVerifiedOnce({ entry, cache, options, http }: Work): Promise<ByteSource> {
  const { templates, progress, signal, counters } = options;
  const handle = await cache.fetch(entry, { progress, offline: templates.offline, http, signal });
  return orDispose(handle, async () => {
    using _ = progress.step(`Verifying ${entry.name}`);
    await handle.verify(signal);
    return countingSource(sourceOf(handle), counters);
  });
}

function sourceOf(handle: TemplateHandle): ByteSource {
  const { source } = handle;
  return {
    name: source.name,
    size: source.size,
    read: (offset, length, signal) => source.read(offset, length, signal),
    [Symbol.asyncDispose]: () => handle[Symbol.asyncDispose](),
  };
}

function innerOf({ format }: TemplateEntry): 'raw' | 'qcow2' | undefined {
  return format === 'raw' || format === 'qcow2' ? format : undefined;
}

/** What the verification of the whole was worth; undefined when there was nothing to compare it with. */
function wholeProtection(entry: TemplateEntry): string | undefined {
  const { sha512, sha256, source } = entry;
  if (sha512 !== undefined || sha256 !== undefined) {
    const hash = sha512 === undefined ? 'SHA-256' : 'SHA-512';
    return `the whole template was verified when it was opened (${hash} in ${indexOf(entry)})`;
  }
  return source.checked ? 'the whole template was verified when it was opened (by its signature)' : undefined;
}

function indexOf({ source }: TemplateEntry): string {
  return source.checked ? 'the signed index' : 'an index whose signature was not checked';
}
