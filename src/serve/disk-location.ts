import { stat } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { type SourceLocation, parseLocation } from '../io/source-location.js';

/** What a user means by SRC. */
export type DiskLocation = SourceLocation | { readonly kind: 'template'; readonly name: string };

/**
 * Tells a path, a URL and the name of a template apart: a template is a word without a slash that is not the name of a file.
 *
 * @throws TSB_USAGE for a URL of another scheme, TSB_NOT_FOUND for a path that leads to nothing
 */
export async function locateDisk(src: string): Promise<DiskLocation> {
  const location = parseLocation(src);
  if (location.kind === 'http') return location;
  const found = await stat(location.path).catch(() => undefined);
  const isWord = location.path === src && /^[^/]+$/.test(src);
  // A folder is no disk, so one that happens to be here does not hide a template.
  if (isWord && (found === undefined || found.isDirectory())) return { kind: 'template', name: src };
  return location;
}

/** `error` with the other reading of `name` in it, when it says that there is no such template. */
export function noSuchDisk(name: string, error: unknown): unknown {
  if (
    !(error instanceof TsbuilderError) ||
    (error.code !== 'TSB_NOT_FOUND' && error.code !== 'TSB_NO_SOURCE')
  )
    return error;
  return new TsbuilderError(error.code, `${name}: no such file, and no template: ${error.message}`, {
    hint: error.hint,
    details: error.details,
    cause: error,
  });
}
