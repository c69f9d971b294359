import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { errnoOf, isAbort, messageOf } from '../../errors.js';
import { writeDurably } from '../../index-repo/publish-file.js';
import type { TemplateEntry } from '../../index-repo/template-entry.js';
import type { DiskSource } from '../../io/disk-source.js';
import type { Progress } from '../../progress.js';
import type { XzIndex } from '../../xz/xz-index.js';
import { readUsage } from '../disk-usage.js';
import { drawPicture } from '../picture/draw-picture.js';
import { planPicture } from '../picture/plan-picture.js';
import { type CatalogueTemplate, PAGE_MARK, cataloguePage } from './catalogue-page.js';

/** The page of a repository, beside its index. */
export const PAGE_FILE = 'index.html';

const UNKNOWN_URL = 'https://HOST/PATH';
const CELLS = 768;

/** A disk in a packed file; disposing it closes the file. */
export interface PackedDisk extends AsyncDisposable {
  readonly disk: DiskSource;
  readonly index?: XzIndex | undefined;
}

/** A verified repository of which a page is to be written. */
export interface CatalogueRequest {
  readonly dir: string;
  /** URL of the folder where it will be, as users see it. */
  readonly url?: string | undefined;
  /** Of the key that signed the index, upper-case hex. */
  readonly fingerprint: string;
  readonly signedAt: Date;
  readonly entries: readonly TemplateEntry[];
  readonly openDisk: (path: string, signal: AbortSignal) => Promise<PackedDisk>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Writes the catalogue page of a repository beside its index. A page that tsbuilder has not written is left, which is warned about.
 *
 * @returns whether it was written
 * @throws TSB_NO_SPACE, TSB_OUTPUT_UNUSABLE, TSB_IO
 */
export async function writeCatalogue(request: CatalogueRequest): Promise<boolean> {
  const { dir, url, fingerprint, signedAt, progress } = request;
  const path = join(dir, PAGE_FILE);
  if (await isForeign(path)) {
    progress.warn(`${path}: was not written by tsbuilder, and is left as it is`);
    return false;
  }
  using _ = progress.step('Writing the catalogue page');
  const templates: CatalogueTemplate[] = [];
  for (const entry of request.entries.filter(({ hidden }) => !hidden))
    templates.push({ ...entry, picture: await pictureOf(entry, templates.length, request) });
  const place = { url: (url ?? UNKNOWN_URL).replace(/\/+$/, ''), isUrlKnown: url !== undefined };
  const name = sourceName(url, dir);
  await writeDurably(path, cataloguePage({ ...place, name, fingerprint, signedAt, templates }), 0o644);
  return true;
}

async function isForeign(path: string): Promise<boolean> {
  try {
    return !(await readFile(path, 'utf8')).includes(PAGE_MARK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** A name that can be one of a source: of the host, else of the folder. */
function sourceName(url: string | undefined, dir: string): string {
  const own = url === undefined ? basename(resolve(dir)) : new URL(url).hostname;
  return own.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'repository';
}

/** A disk of which no picture can be made has a page without one. */
async function pictureOf(
  { name, url, format }: TemplateEntry,
  at: number,
  { openDisk, progress, signal }: CatalogueRequest,
): Promise<string | undefined> {
  if (format !== undefined && format !== 'raw') return undefined;
  try {
    await using stored = await openDisk(url, signal);
    const usage = await readUsage(stored.disk, { index: stored.index, signal });
    return drawPicture(planPicture(usage, { name, cells: CELLS }), { id: `disk${at}` });
  } catch (error) {
    if (isAbort(error) || signal.aborted) throw error;
    progress.warn(`${name}: has no picture on the catalogue page: ${messageOf(error)}`);
    return undefined;
  }
}
