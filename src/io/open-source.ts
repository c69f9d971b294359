import type { ByteSource } from './byte-source.js';
import { openFileSource } from './file-source.js';
import { type HttpSourceOptions, openHttpSource } from './http-source.js';
import { parseLocation } from './source-location.js';

/**
 * Opens a path, a `file://` URL or an `http(s)://` URL for random access.
 *
 * @throws TSB_USAGE for other schemes, and what `openFileSource` and `openHttpSource` throw
 */
export async function openSource(pathOrUrl: string, options: HttpSourceOptions = {}): Promise<ByteSource> {
  const location = parseLocation(pathOrUrl);
  return location.kind === 'file' ? openFileSource(location.path) : openHttpSource(location.url, options);
}
