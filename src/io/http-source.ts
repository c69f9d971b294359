import { TsbuilderError } from '../errors.js';
import { type ByteSource, assertRange } from './byte-source.js';
import { type HttpOptions, type HttpResponse, openHttpClient } from './http-client.js';
import { headerOf, protocolError, statusError } from './http-errors.js';
import {
  type HttpIdentity,
  changedError,
  identityOf,
  isSameVersion,
  parseContentRange,
  probeFile,
  wrongRange,
} from './http-identity.js';
import { type PinnedUrl, pinUrl } from './http-pin.js';
import { withRetries } from './http-retry.js';
import { keepEdges } from './keep-edges.js';
import { redactUrl } from './redact-url.js';

/** How to open a file on a server for random access. */
export interface HttpSourceOptions extends HttpOptions {
  /** The version that must be found there; default: whatever is there now. */
  readonly expected?: HttpIdentity | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a file on an HTTP server for random access by range requests; it is never downloaded as a whole. Redirects are
 * resolved once, and every answer must be about the version seen at open. Opening takes one request, reads of the first 512 bytes
 * none, and those of the last few KiB one together.
 *
 * @throws TSB_NO_RANGES when the server does not answer range requests or hides the length, TSB_CONTENT_CHANGED when the
 *   file changes, TSB_HTTP_STATUS, TSB_NETWORK, TSB_NETWORK_TIMEOUT
 */
export async function openHttpSource(url: string, options: HttpSourceOptions = {}): Promise<ByteSource> {
  const client = await openHttpClient(options);
  try {
    const pinned = pinUrl(client, url);
    const { head, ...identity } = await findVersion(url, pinned, options);
    return keepEdges(remoteSource({ url, pinned, identity, options }, client), head);
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

type KnownVersion = HttpIdentity & { readonly size: number };

async function findVersion(
  url: string,
  pinned: PinnedUrl,
  options: HttpSourceOptions,
): Promise<KnownVersion & { readonly head: Uint8Array }> {
  const found = await withRetries(() => probeFile(pinned, options.signal), options);
  const { size } = found;
  if (!found.ranges || size === undefined) throw noRanges(url, found.ranges);
  if (options.expected && !isSameVersion(options.expected, found))
    throw changedError(url, 'it is not the version expected');
  return { ...found, size };
}

function remoteSource(file: RemoteFile, client: AsyncDisposable): ByteSource {
  const source: ByteSource = {
    name: redactUrl(file.url),
    size: file.identity.size,
    read(offset, length, readSignal) {
      assertRange(source, offset, length);
      return readRange(file, { offset, length }, readSignal);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
  return source;
}

interface RemoteFile {
  readonly url: string;
  readonly pinned: PinnedUrl;
  readonly identity: KnownVersion;
  readonly options: HttpOptions;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

/** Reads a range; when the connection drops in the middle, the next attempt asks only for what is missing. */
async function readRange(file: RemoteFile, range: Range, signal?: AbortSignal): Promise<Uint8Array> {
  const data = Buffer.allocUnsafeSlow(range.length);
  let done = 0;
  const attempt = async (): Promise<void> => {
    if (done === range.length) return;
    const first = range.offset + done;
    const response = await requestRange(file, { offset: first, length: range.length - done }, signal);
    await response.receive((chunk) => {
      if (chunk.length > range.length - done)
        throw protocolError(file.url, 'the server sent more than was asked for');
      data.set(chunk, done);
      done += chunk.length;
    });
    if (done < range.length)
      throw protocolError(
        file.url,
        `the server sent ${done} of ${range.length} bytes at ${range.offset}`,
        true,
      );
  };
  // The server has been there: it may be starting anew.
  await withRetries(attempt, { connectAttempts: Infinity, ...file.options, progress: () => done, signal });
  return data;
}

async function requestRange(file: RemoteFile, range: Range, signal?: AbortSignal): Promise<HttpResponse> {
  const last = range.offset + range.length - 1;
  const headers = { range: `bytes=${range.offset}-${last}`, ...preconditions(file.identity) };
  const response = await file.pinned.request({ headers, signal });
  try {
    checkAnswer(file, response, { first: range.offset, last });
    return response;
  } catch (error) {
    response.discard();
    throw error;
  }
}

function preconditions(identity: HttpIdentity): Record<string, string> {
  if (identity.etag !== undefined) return { 'if-match': identity.etag };
  return identity.lastModified === undefined ? {} : { 'if-unmodified-since': identity.lastModified };
}

function checkAnswer(
  file: RemoteFile,
  response: HttpResponse,
  wanted: { first: number; last: number },
): void {
  const { status, headers } = response;
  if (status === 412 || status === 416) throw changedError(file.url, `HTTP status ${status}`);
  if (status !== 200 && status !== 206) throw statusError(response.url, status, headers);
  if (!isSameVersion(file.identity, identityOf(status, headers)))
    throw changedError(
      file.url,
      `it was ${describe(file.identity)}, now ${describe(identityOf(status, headers))}`,
    );
  if (status === 200) throw noRanges(file.url, false);
  const range = parseContentRange(headerOf(headers, 'content-range'));
  if (range?.first !== wanted.first || range.last !== wanted.last)
    throw wrongRange(response, `bytes ${wanted.first}-${wanted.last}`);
}

function describe(identity: HttpIdentity): string {
  return `${identity.size ?? 'an unknown number of'} bytes with ETag ${identity.etag ?? '(none)'}`;
}

function noRanges(url: string, hiddenSize: boolean): TsbuilderError {
  const name = redactUrl(url);
  const reason = hiddenSize ? 'does not tell the length of the file' : 'does not answer range requests';
  return new TsbuilderError('TSB_NO_RANGES', `${name}: the server ${reason}`, {
    hint: 'Download the file and work on the copy.',
    details: { url: name },
  });
}
