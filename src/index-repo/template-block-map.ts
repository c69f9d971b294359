import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { fetchSmall } from '../io/fetch-small.js';
import type { HttpOptions } from '../io/http-client.js';
import { redactUrl } from '../io/redact-url.js';
import { type BlockMap, MAX_BLOCK_MAP_BYTES, parseBlockMap } from '../xz/block-map.js';
import { DocumentStore } from './document-store.js';
import type { TemplateEntry } from './template-entry.js';

/** Where block maps are kept and fetched from. */
export interface BlockMapOptions {
  /** The folder of the cache: a map that was fetched once is kept there. Default: it is not kept. */
  readonly cacheDir?: string | undefined;
  /** Use only a map that is here already. */
  readonly offline?: boolean | undefined;
  /** Time-outs, retries; the proxy comes from the entry's source. */
  readonly http?: HttpOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEADLINE_MS = 60_000;

/**
 * The block map of a template. It is parsed only after its SHA-512 was found to be the one in the index.
 *
 * @returns undefined when the index names no block map, or gives no checksum of it
 * @throws TSB_CHECKSUM_MISMATCH, TSB_BLOCK_MAP_INVALID, TSB_SIZE_MISMATCH for a map that is too long, TSB_OFFLINE, and what
 *   fetching throws
 */
export async function fetchBlockMap(
  entry: TemplateEntry,
  options: BlockMapOptions,
): Promise<BlockMap | undefined> {
  const { blocks: url, blocksSha512: sha512 } = entry;
  if (url === undefined || sha512 === undefined) return undefined;
  const data = await readMap(entry, { url, sha512 }, options);
  const map = parseBlockMap(data, redactUrl(url));
  if (entry.sha512 === undefined || entry.sha512 === map.sha512) return map;
  throw new TsbuilderError(
    'TSB_BLOCK_MAP_INVALID',
    `${redactUrl(url)}: is the block map of another file than ${redactUrl(entry.url)}: of the SHA-512 ${map.sha512}, not ${entry.sha512}`,
    { hint: 'The repository is inconsistent: tell its publisher.' },
  );
}

interface MapPlace {
  readonly url: string;
  readonly sha512: string;
}

async function readMap(entry: TemplateEntry, place: MapPlace, options: BlockMapOptions): Promise<Uint8Array> {
  const { cacheDir } = options;
  const store = cacheDir === undefined ? undefined : new DocumentStore(join(cacheDir, 'block-maps'));
  // What the cache holds may be unreadable or damaged, and is not needed.
  const kept = await store?.read(place.sha512).catch(() => undefined);
  if (kept !== undefined && sha512Of(kept) === place.sha512) return kept;
  const isLocal = !/^https?:/i.test(place.url);
  if (options.offline === true && !isLocal) throw offline(entry);
  const data = await fetchMap(entry, place, options);
  if (!isLocal) await store?.write(place.sha512, data).catch(() => undefined);
  return data;
}

async function fetchMap(
  entry: TemplateEntry,
  { url, sha512 }: MapPlace,
  options: BlockMapOptions,
): Promise<Uint8Array> {
  const { http, signal } = options;
  const proxy = entry.source.proxy ?? http?.proxy;
  const limits = { maxBytes: MAX_BLOCK_MAP_BYTES, deadlineMs: DEADLINE_MS };
  const { data } = await fetchSmall(url, { ...http, proxy, ...limits, signal });
  const found = sha512Of(data);
  if (found === sha512) return data;
  throw new TsbuilderError(
    'TSB_CHECKSUM_MISMATCH',
    `${redactUrl(url)}: the SHA-512 of the block map is wrong (${data.length} bytes): expected ${sha512}, found ${found}`,
    {
      hint: 'It was not looked at. The file or its index is wrong on the server: try later, or tell the publisher.',
      details: { url: redactUrl(url), expected: sha512, found },
    },
  );
}

function sha512Of(data: Uint8Array): string {
  return createHash('sha512').update(data).digest('hex');
}

function offline({ name, arch, revision }: TemplateEntry): TsbuilderError {
  return new TsbuilderError(
    'TSB_OFFLINE',
    `the block map of ${name} (${arch}, revision ${revision}) is not in the cache`,
    { hint: `Use it once while online, or without --offline.`, details: { name } },
  );
}
