import { dirname, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { TsbuilderError } from '../errors.js';

const MAX_LENGTH = 1024;
const MAX_DECODINGS = 8;

/**
 * Why `path` cannot name a file below an index's own folder, or undefined when it can. Looks at the text as written and
 * after every round of percent-decoding, because servers, proxies and file systems do not agree on how often to decode.
 */
export function pathProblem(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (path.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  let text = path;
  for (let round = 0; round < MAX_DECODINGS; round += 1) {
    const problem = literalProblem(text);
    if (problem !== undefined) return problem;
    const decoded = decode(text);
    if (decoded === undefined) return 'has a % that is not followed by two hex digits of UTF-8';
    if (decoded === text) return undefined;
    text = decoded;
  }
  return `is percent-encoded more than ${MAX_DECODINGS - 1} times`;
}

function literalProblem(text: string): string | undefined {
  if (/\p{Cc}/u.test(text)) return 'has a control character';
  if (/^\s|\s$/.test(text)) return 'begins or ends with a blank';
  if (text.includes('\\')) return 'has a backslash';
  if (/[?#]/.test(text)) return 'has a query or a fragment';
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return 'is a URL; it must be relative to the index';
  if (text.startsWith('/')) return 'is absolute; it must be relative to the index';
  if (/(?:^|\/)\.?$/.test(text)) return 'names a folder';
  if (text.split('/').includes('..')) return 'leads out of the folder of the index';
  return undefined;
}

/** One round of percent-decoding; undefined when the text is not properly encoded. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * Resolves the relative `path` of a template against the location of its index, which is a path, a `file://` or an
 * `http(s)://` URL.
 *
 * @returns a path when the index was named by a path, else a URL, always below the folder of the index
 * @throws TSB_INDEX_INVALID when `path` is absolute, has a scheme, or could lead out of the folder in any encoding
 */
export function resolveBeside(indexLocation: string, path: string): string {
  const problem = pathProblem(path);
  if (problem !== undefined) {
    throw new TsbuilderError('TSB_INDEX_INVALID', `${JSON.stringify(path)} ${problem}`);
  }
  if (/^https?:\/\//i.test(indexLocation)) return resolveUrl(indexLocation, path);
  const isUrl = /^file:\/\//i.test(indexLocation);
  const result = resolveFile(isUrl ? fileURLToPath(indexLocation) : indexLocation, path);
  return isUrl ? pathToFileURL(result).href : result;
}

function resolveUrl(indexLocation: string, path: string): string {
  const folder = new URL('./', indexLocation);
  const target = new URL(`./${path}`, folder);
  if (!target.href.startsWith(folder.href)) throw escapes(path);
  return target.href;
}

function resolveFile(indexPath: string, path: string): string {
  const folder = dirname(resolve(indexPath));
  const target = resolve(folder, decodeURIComponent(path));
  if (!target.startsWith(folder.endsWith(sep) ? folder : folder + sep)) throw escapes(path);
  return target;
}

function escapes(path: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_INDEX_INVALID',
    `${JSON.stringify(path)} leads out of the folder of the index`,
  );
}
