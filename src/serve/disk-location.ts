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
 * @throws TSB_USAGE for nothing, a URL of another scheme and a file with no partition's number behind it, TSB_NOT_FOUND for a path that leads to nothing
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
  if (!found) await assertNoPartitionMeant(src);
  const isWord = location.path === src && /^[^/]+$/.test(src) && !FILE_ENDING.test(src);
  // A folder is no disk, so one that happens to be here does not hide a template.
  if (isWord && (found === undefined || found.isDirectory())) return { kind: 'template', name: src };
  return location;
}

/** A file's name with a colon and something behind it is most likely meant to name a partition. */
async function assertNoPartitionMeant(src: string): Promise<void> {
  const [, file, part] = /^(.+):([^:/]*)$/s.exec(src) ?? [];
  if (file === undefined || !(await stat(file).catch(() => undefined))?.isFile()) return;
  const isNumber = /^\d{1,4}$/.test(part ?? '');
  const problem = isNumber
    ? 'a partition cannot be named here like that'
    : `'${part ?? ''}' is not the number of a partition`;
  throw new TsbuilderError('TSB_USAGE', `${file}: ${problem}`, {
    hint: `tsbuilder info ${file} shows which partitions there are.`,
  });
}

/** `error` with the other reading of `name` in it, when it says that there is no such template, or that this cannot be found out. */
export function noSuchDisk(name: string, error: unknown): unknown {
  if (!(error instanceof TsbuilderError)) return error;
  const unknown = error.code === 'TSB_NOT_FOUND' || error.code === 'TSB_NO_SOURCE';
  if (!unknown && error.exit !== EXIT.network) return error;
  const template = unknown ? 'no template' : 'whether it is a template cannot be told';
  return new TsbuilderError(error.code, `${name}: no such file, and ${template}: ${error.message}`, {
    hint: unknown
      ? error.hint
      : `If a file is meant, check its name. For a template: ${error.hint ?? 'try again later.'}`,
    details: error.details,
    cause: error,
  });
}
