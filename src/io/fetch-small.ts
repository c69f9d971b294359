import { open } from 'node:fs/promises';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import { openError } from './file-source.js';
import { formatSize } from './format-size.js';
import { type HttpClient, type HttpOptions, openHttpClient } from './http-client.js';
import { statusError } from './http-errors.js';
import { identityOf } from './http-identity.js';
import { withRetries } from './http-retry.js';
import { retryTimeout } from './http-timeout.js';
import { redactUrl } from './redact-url.js';
import { parseLocation } from './source-location.js';

/** How to fetch a small file. */
export interface FetchSmallOptions extends HttpOptions {
  /** A longer file is refused. */
  readonly maxBytes: number;
  /** For all attempts together, in milliseconds. Default 20 s. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A small file in memory. */
export interface SmallFile {
  readonly data: Uint8Array;
  /** Where it came from in the end: a path, or the redacted URL after redirects. */
  readonly url: string;
  /** Its strong ETag, when the server has given one. */
  readonly etag?: string | undefined;
}

/**
 * Reads a whole small file (an index, a key, a source list) from a path, a `file://` or an `http(s)://` URL.
 *
 * @throws TSB_NOT_FOUND, TSB_IO; TSB_SIZE_MISMATCH when it is longer than `maxBytes`; TSB_HTTP_STATUS, TSB_NETWORK,
 *   TSB_NETWORK_TIMEOUT
 */
export async function fetchSmall(urlOrPath: string, options: FetchSmallOptions): Promise<SmallFile> {
  const location = parseLocation(urlOrPath);
  if (location.kind === 'file') return { data: await readSmall(location.path, options), url: location.path };
  const { deadlineMs = Math.min(20_000, retryTimeout()), signal } = options;
  const timeout = AbortSignal.timeout(deadlineMs);
  const both = signal ? AbortSignal.any([signal, timeout]) : timeout;
  await using client = await openHttpClient(options);
  try {
    const once = (): Promise<SmallFile> => get(client, location.url, { ...options, signal: both });
    return await withRetries(once, { maxAttempts: 5, ...options, deadlineMs, signal: both });
  } catch (error) {
    signal?.throwIfAborted();
    if (!timeout.aborted) throw error;
    const name = redactUrl(location.url);
    throw new TsbuilderError('TSB_NETWORK_TIMEOUT', `${name}: did not arrive within ${deadlineMs / 1000} s`, {
      details: { url: name, deadlineMs },
      cause: error,
    });
  }
}

async function get(client: HttpClient, url: string, options: FetchSmallOptions): Promise<SmallFile> {
  const response = await client.request(new URL(url), { signal: options.signal });
  if (response.status !== 200) {
    response.discard();
    throw statusError(response.url, response.status, response.headers);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  await response.receive((chunk) => {
    size += chunk.length;
    if (size > options.maxBytes) throw tooLong(redactUrl(url), options.maxBytes);
    chunks.push(chunk);
  });
  const { etag } = identityOf(response.status, response.headers);
  return { data: Buffer.concat(chunks, size), url: redactUrl(response.url), etag };
}

async function readSmall(path: string, options: FetchSmallOptions): Promise<Uint8Array> {
  options.signal?.throwIfAborted();
  try {
    await using handle = await open(path, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) throw new TsbuilderError('TSB_IO', `${path}: is not a regular file`);
    const data = Buffer.alloc(Math.min(stat.size, options.maxBytes) + 1);
    let size = 0;
    for (let count = 1; count > 0 && size < data.length; size += count)
      count = (await handle.read(data, size, data.length - size, size)).bytesRead;
    if (size > options.maxBytes) throw tooLong(path, options.maxBytes);
    return data.subarray(0, size);
  } catch (error) {
    if (error instanceof TsbuilderError) throw error;
    if (errnoOf(error) === 'ENOENT') throw openError(path, error);
    throw new TsbuilderError('TSB_IO', `${path}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function tooLong(name: string, maxBytes: number): TsbuilderError {
  return new TsbuilderError(
    'TSB_SIZE_MISMATCH',
    `${name}: is longer than the ${formatSize(maxBytes)} allowed here`,
    {
      details: { name, maxBytes },
    },
  );
}
