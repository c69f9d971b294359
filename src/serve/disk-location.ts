import { stat } from 'node:fs/promises';
import { EXIT, TsbuilderError } from '../errors.js';
import { type SourceLocation, parseLocation } from '../io/source-location.js';

/** How image files are called and templates are not: such a word is a path even when no file has it, and the network is not asked. */
const FILE_ENDING = /\.(xz|img|raw|qcow2|gz|zst)$/i;

/** What a user means by SRC. */
export type DiskLocation = SourceLocation | { readonly kind: 'template'; readonly name: string };

/**
 * Tells a path, a URL and the name of a template apart: a template is a word without a slash that is not the name of a file, nor looks like one.
 *
 * @throws TSB_USAGE for nothing and for a URL of another scheme, TSB_NOT_FOUND for a path that leads to nothing
 */
export async function locateDisk(src: string): Promise<DiskLocation> {
  if (src === '') {
    throw new TsbuilderError('TSB_USAGE', 'the name of the image is empty', {
      hint: 'Give a path, an http(s) URL or the name of a template.',
    });
  }
  const location = parseLocation(src);
  if (location.kind === 'http') return location;
  const found = await stat(location.path).catch(() => undefined);
  const isWord = location.path === src && /^[^/]+$/.test(src) && !FILE_ENDING.test(src);
  // A folder is no disk, so one that happens to be here does not hide a template.
  if (isWord && (found === undefined || found.isDirectory())) return { kind: 'template', name: src };
  return location;
}

/** `error` with the other reading of `name` in it, when it says that there is no such template, or that this cannot be found out. */
export function noSuchDisk(name: string, error: unknown): unknown {
  if (!(error instanceof TsbuilderError)) return error;
  const unknown = error.code === 'TSB_NOT_FOUND' || error.code === 'TSB_NO_SOURCE';
  if (!unknown && error.exit !== EXIT.network) return error;
  const template = unknown ? 'no template' : 'whether it is a template cannot be told';
  return new TsbuilderError(error.code, `${name}: no such file, and ${template}: ${error.message}`, {
    hint: error.hint,
    details: error.details,
    cause: error,
  });
}
