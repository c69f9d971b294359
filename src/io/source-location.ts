import { fileURLToPath } from 'node:url';
import { TsbuilderError } from '../errors.js';
import { redactUrl } from './redact-url.js';

/** Where bytes are: on an HTTP server, or in a local file. */
export type SourceLocation =
  { readonly kind: 'http'; readonly url: string } | { readonly kind: 'file'; readonly path: string };

/**
 * Tells a path, a `file://` URL and an `http(s)://` URL apart. Text without a scheme is a path.
 *
 * @throws TSB_USAGE for any other scheme, an unreadable URL, or a `file://` URL that names another machine
 */
export function parseLocation(text: string): SourceLocation {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { kind: 'file', path: text };
  if (!URL.canParse(text))
    throw new TsbuilderError('TSB_USAGE', `${withoutUserinfo(text)}: is not a valid URL`);
  if (scheme === 'http' || scheme === 'https') return { kind: 'http', url: text };
  if (scheme === 'file') return { kind: 'file', path: filePath(text) };
  throw new TsbuilderError('TSB_USAGE', `${redactUrl(text)}: ${scheme} URLs are not supported`, {
    hint: 'Give a path, or a file, http or https URL.',
  });
}

function filePath(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new TsbuilderError('TSB_USAGE', `${redactUrl(url)}: is not the URL of a local file`, {
      cause: error,
    });
  }
}

function withoutUserinfo(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//');
}
