import { TsbuilderError } from '../errors.js';
import { fetchSmall } from '../io/fetch-small.js';
import type { HttpOptions } from '../io/http-client.js';
import { redactUrl } from '../io/redact-url.js';
import { MAX_DETACHED_BYTES, verifyDetached } from './signature.js';
import { trustedKeys } from './source-keys.js';
import type { DetachedCheck } from './template-cache-handle.js';
import type { TemplateEntry } from './template-entry.js';

/**
 * How the content of `entry` is checked besides its checksum. A checksum in the index is enough, and so is the wish to
 * trust an unchecked source; else the template's detached signature must be by the key that signed the index.
 *
 * @returns undefined when nothing more is to be checked
 * @throws TSB_INDEX_UNSIGNED when a checked source vouches for the template by neither
 */
export function detachedCheckOf(entry: TemplateEntry, http: HttpOptions = {}): DetachedCheck | undefined {
  const { source, sigUrl, sha512, sha256 } = entry;
  if (sha512 !== undefined || sha256 !== undefined || !source.checked) return undefined;
  const { fingerprint } = source;
  if (sigUrl === undefined || fingerprint === undefined) {
    throw new TsbuilderError(
      'TSB_INDEX_UNSIGNED',
      `${redactUrl(entry.url)}: the index of ${source.name} gives neither a checksum nor a signature for it`,
      { hint: 'Nobody vouches for this file; --no-check-signature would trust whoever controls the server.' },
    );
  }
  return async (path, signal) => {
    const { data } = await fetchSmall(sigUrl, {
      ...http,
      maxBytes: MAX_DETACHED_BYTES,
      deadlineMs: undefined,
      signal,
    });
    const keyFiles = source.keyFile === undefined ? [] : [source.keyFile];
    const config = { ...source, keyFiles, fingerprints: [fingerprint], origin: source.name };
    const keys = await trustedKeys(config, { signal });
    await verifyDetached(path, data, { name: redactUrl(entry.url), keys, signal });
  };
}
