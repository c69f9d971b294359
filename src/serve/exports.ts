import { basename } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { redactUrl } from '../io/redact-url.js';

/** What is served under a name: a path, a URL or the name of a template. */
export interface ExportRequest {
  readonly name: string;
  readonly src: string;
}

/** All that one server serves. */
export interface ExportPlan {
  readonly exports: readonly ExportRequest[];
  /** The name of the one that clients get who name none. */
  readonly defaultExport: string;
}

/** The longest string of the protocol ("NBD_MAX_STRING" of qemu; doc/proto.md: "4096 bytes"). */
const MAX_NAME_BYTES = 4096;

/**
 * Names what is served. One plain SRC alone is the export ''; of several each gets the last part of its path or URL as its name; those
 * of `--export NAME=SRC` have their own. The first plain one, or without any the first named one, is what clients get who name none.
 *
 * @throws TSB_USAGE when there is nothing to serve, a NAME=SRC is none, or two have one name
 */
export function planExports(plain: readonly string[], named: readonly string[]): ExportPlan {
  const alone = plain.length === 1;
  const exports = [
    ...plain.map((src) => ({ name: alone ? '' : lastPart(src), src })),
    ...named.map(parseExport),
  ];
  const [first] = exports;
  if (!first) {
    throw new TsbuilderError('TSB_USAGE', 'what is to be served?', {
      hint: 'Name a path, an http(s) URL, a template, or --export NAME=SRC.',
    });
  }
  const seen = new Map<string, string>();
  for (const { name, src } of exports) {
    assertName(name);
    const other = seen.get(name);
    if (other !== undefined) {
      throw new TsbuilderError(
        'TSB_USAGE',
        `${redactSource(other)} and ${redactSource(src)} would both be the export ${JSON.stringify(name)}`,
        { hint: 'Give them names of their own: --export NAME=SRC.' },
      );
    }
    seen.set(name, src);
  }
  return { exports, defaultExport: first.name };
}

/** Reads `NAME=SRC`: the name ends at the first equals sign, and may be empty. @throws TSB_USAGE without one, or without SRC */
export function parseExport(text: string): ExportRequest {
  const split = text.indexOf('=');
  const src = text.slice(split + 1);
  if (split < 0 || src === '') {
    throw new TsbuilderError('TSB_USAGE', `--export ${JSON.stringify(text)} is not NAME=SRC`, {
      hint: 'Such as --export disk=debian.img.xz.',
    });
  }
  return { name: text.slice(0, split), src };
}

function assertName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes <= MAX_NAME_BYTES && !name.includes('\0')) return;
  throw new TsbuilderError(
    'TSB_USAGE',
    `the name of an export has ${bytes} bytes; the protocol allows ${MAX_NAME_BYTES}, and no zero byte`,
  );
}

/** URLs may hold passwords. */
function redactSource(src: string): string {
  return URL.canParse(src) ? redactUrl(src) : src;
}

function lastPart(src: string): string {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(src) && URL.canParse(src);
  const path = isUrl ? new URL(src).pathname : src;
  return basename(isUrl ? decoded(path) : path);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
