import { basename } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { openAnySource } from '../io/open-any-source.js';
import { redactUrl } from '../io/redact-url.js';
import { parseLocation } from '../io/source-location.js';
import { type TargetRequest, openContentTarget } from './content-target.js';
import { openDiskContent } from './disk-content.js';

/** What was unpacked: sizes in bytes. */
export interface UnpackResult {
  readonly output: string;
  readonly size: number;
  readonly packedSize: number;
  /** Bytes that the output file occupies; absent for a device and for standard output. */
  readonly allocated?: number;
}

/**
 * Where `unxz SRC` writes when the user names no output: beside a local file, in the working directory for a URL, without the
 * `.xz` or `.txz` ending.
 *
 * @throws TSB_USAGE when the name has no such ending, or the URL cannot be read
 */
export function defaultUnpackedName(source: string): string {
  const url = /^[a-z]+:\/\//i.test(source);
  const path = url ? fileNameIn(source) : source;
  if (path.endsWith('.xz') && basename(path) !== '.xz') return path.slice(0, -'.xz'.length);
  if (path.endsWith('.txz')) return `${path.slice(0, -'.txz'.length)}.tar`;
  throw new TsbuilderError(
    'TSB_USAGE',
    `${source}: the name does not end in .xz, so the output needs a name`,
    {
      hint: 'Add the output as second argument, or - for standard output.',
    },
  );
}

function fileNameIn(url: string): string {
  parseLocation(url);
  const { pathname } = new URL(url);
  try {
    const name = basename(decodeURIComponent(pathname));
    if (!name.includes('\0')) return name;
  } catch {
    // An escape that is none.
  }
  throw new TsbuilderError('TSB_USAGE', `${redactUrl(url)}: the output cannot be named after this URL`, {
    hint: 'Add the output as second argument, or - for standard output.',
  });
}

/**
 * Unpacks an xz file in parallel. The whole content is checked against the file's own integrity checks before a new
 * file's name appears; a device or a pipe has got some of the data by the time an error is found.
 *
 * @throws TSB_USAGE when the output is the input, TSB_XZ_UNSUPPORTED when the source is not xz, and the codes of the
 *   decoder and of the output
 */
export async function runUnpack(request: TargetRequest): Promise<UnpackResult> {
  const { input, progress, signal } = request;
  await using target = await openContentTarget(request);
  await using source = await openAnySource(input, { scratchFor: target.scratchFor, progress, signal });
  await using content = await openDiskContent(source, { signal });
  if (content.container !== 'xz') {
    throw new TsbuilderError('TSB_XZ_UNSUPPORTED', `${source.name}: not an xz file`, {
      hint: 'tsbuilder info shows what it is.',
    });
  }
  const written = await target.write(content);
  return { output: target.output, size: content.size, packedSize: source.size, ...written };
}
