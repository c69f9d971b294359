import { TsbuilderError } from '../errors.js';
import type { ContentHash } from '../io/hash-content.js';
import { redactUrl } from '../io/redact-url.js';
import type { TemplateEntry } from './template-entry.js';

/** Where the bytes of a template came from. */
export type TemplateOrigin = 'cache' | 'local' | 'download';

/** Where content was found. */
export interface ContentPlace {
  readonly origin: TemplateOrigin;
  /** The file of this machine that holds it; undefined for what came from a server just now. */
  readonly path?: string | undefined;
}

/**
 * Passes when `content` is what the index says of `entry`. A published checksum decides alone; without one the published
 * length must fit. A checksum that fails together with the length is reported as a wrong length: usually a truncated
 * file or an error page.
 *
 * @throws TSB_CHECKSUM_MISMATCH, TSB_SIZE_MISMATCH, with `details.origin`
 */
export function checkContent(entry: TemplateEntry, content: ContentHash, place: ContentPlace): void {
  const pairs = [
    { label: 'SHA-512', expected: entry.sha512, found: content.sha512 },
    { label: 'SHA-256', expected: entry.sha256, found: content.sha256 },
  ];
  const known = pairs.filter(({ expected }) => expected !== undefined);
  const wrong = known.find(({ expected, found }) => expected?.toLowerCase() !== found);
  if (known.length > 0 && !wrong) return;
  const wrongSize = entry.compressedSize !== undefined && entry.compressedSize !== content.size;
  if (wrongSize) throw sizeMismatch(entry, content, place);
  if (wrong) throw checksumMismatch(entry, content, { ...wrong, place });
}

function sizeMismatch(entry: TemplateEntry, content: ContentHash, place: ContentPlace): TsbuilderError {
  const { origin } = place;
  const name = nameOf(entry, place);
  const expected = entry.compressedSize;
  const found = content.size;
  const hashes =
    entry.sha512 === undefined ? '' : `; SHA-512 expected ${entry.sha512}, found ${content.sha512}`;
  return new TsbuilderError(
    'TSB_SIZE_MISMATCH',
    `${name}: is ${found} bytes, its index says ${expected}${hashes}`,
    {
      hint: hintFor(origin),
      details: { url: redactUrl(entry.url), path: place.path, origin, expected, found },
    },
  );
}

function checksumMismatch(
  entry: TemplateEntry,
  content: ContentHash,
  wrong: { label: string; expected: string | undefined; found: string | undefined; place: ContentPlace },
): TsbuilderError {
  const { label, expected, found, place } = wrong;
  const name = nameOf(entry, place);
  const { path, origin } = place;
  const size =
    entry.compressedSize === undefined ? `${content.size} bytes` : `${content.size} bytes, as its index says`;
  return new TsbuilderError(
    'TSB_CHECKSUM_MISMATCH',
    `${name}: the ${label} is wrong (${size}): expected ${expected}, found ${found}`,
    {
      hint: hintFor(origin),
      details: { url: redactUrl(entry.url), path, origin, size: content.size, expected, found },
    },
  );
}

/** What to blame: where the bytes are from this machine, its file and not the server. */
function nameOf(entry: TemplateEntry, { path }: ContentPlace): string {
  return path ?? redactUrl(entry.url);
}

function hintFor(origin: TemplateOrigin): string {
  if (origin === 'cache') return 'The damaged file is not used again: the next attempt fetches a fresh one.';
  if (origin === 'local')
    return 'The file is not the one that its index describes: its publisher must correct one of them.';
  return 'Nothing of it was kept. The file or its index is wrong on the server: try later, or tell the publisher.';
}
