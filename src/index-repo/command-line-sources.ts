import { resolve } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { redactUrl } from '../io/redact-url.js';
import { parseLocation } from '../io/source-location.js';
import { parseFingerprint } from './keyring.js';
import type { SourceConfig } from './source-config.js';

/** The options of the command line that choose sources. */
export interface CommandLineSources {
  /** `--source`: paths or URLs of native indexes; for `loadSources` also names of configured sources. */
  readonly sources?: readonly string[] | undefined;
  /** `--fingerprint`: none, one for all sources, or one for each. */
  readonly fingerprints?: readonly string[] | undefined;
  /** `--key`: files with keys that are trusted for all these sources. */
  readonly keys?: readonly string[] | undefined;
  /** False with `--no-check-signature`. */
  readonly checkSignature?: boolean | undefined;
}

/**
 * The sources of the command line, in order.
 *
 * @throws TSB_USAGE when there are fingerprints or keys without sources, another number of fingerprints than none, one or
 *   one for each source, or nothing to check a source by
 */
export function commandLineSources(options: CommandLineSources): SourceConfig[] {
  const { sources = [], fingerprints = [], keys = [], checkSignature = true } = options;
  if (sources.length === 0 && fingerprints.length + keys.length > 0)
    throw usage(
      '--fingerprint and --key say whom to trust for a --source that is a path or URL, but there is none',
    );
  if (![0, 1, sources.length].includes(fingerprints.length)) {
    const counts = `${fingerprints.length} fingerprints for ${sources.length} sources`;
    throw usage(`${counts}: give one for all, or one for each in the same order`);
  }
  if (checkSignature && sources.length > 0 && fingerprints.length + keys.length === 0)
    throw usage(
      '--source needs --key or --fingerprint, to check who signed the index',
      'To trust whoever controls the server, and anyone on the way: --no-check-signature.',
    );
  return sources.map((uri, i) => ({
    name: redactUrl(uri),
    uri: absolute(uri),
    format: 'native',
    keyFiles: keys.map((key) => resolve(key)),
    fingerprints: [fingerprints[i] ?? fingerprints[0]]
      .filter((text) => text !== undefined)
      .map(parseFingerprint),
    origin: '--source',
  }));
}

function absolute(uri: string): string {
  const location = parseLocation(uri);
  return location.kind === 'file' && !/^file:/i.test(uri) ? resolve(uri) : uri;
}

function usage(message: string, hint?: string): TsbuilderError {
  return new TsbuilderError('TSB_USAGE', message, { hint });
}
