import { readFileSync } from 'node:fs';
import { TsbuilderError } from '../errors.js';
import type { Counters } from './counters.js';
import { type ConnectionOptions, openDispatcher } from './http-dispatcher.js';
import { headerOf, protocolError } from './http-errors.js';
import { type HttpAnswer, exchange } from './http-exchange.js';
import type { RetryOptions } from './http-retry.js';
import { redactUrl } from './redact-url.js';

/** Everything that can be said about talking to a server. */
export interface HttpOptions extends ClientOptions, RetryOptions {}

/** How a client works. */
export interface ClientOptions extends ConnectionOptions {
  /** Gets the requests sent and the bytes of bodies received. */
  readonly counters?: Counters | undefined;
}

/** An answer whose status and headers are here and whose body is still to be received or discarded. */
export interface HttpResponse extends HttpAnswer {
  /** Where it came from in the end, after redirects; carries credentials, so print it only through `redactUrl`. */
  readonly url: URL;
}

/** One request with its own headers. */
export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** A client with its own connections. */
export interface HttpClient extends AsyncDisposable {
  /**
   * Sends one request and follows redirects: at most ten, each page once, never from https to http. Credentials in the
   * URL are sent to that origin only.
   *
   * @throws TSB_NETWORK, TSB_NETWORK_TIMEOUT, and TSB_HTTP_STATUS for redirects that lead nowhere; the status of the
   *   final answer is left to the caller
   */
  request(url: URL, request?: HttpRequest): Promise<HttpResponse>;
}

const MAX_REDIRECTS = 10;
const REDIRECTS = [301, 302, 303, 307, 308];

/** Opens a client; undici is loaded only now. @throws TSB_USAGE for a bad proxy setting */
export async function openHttpClient(options: ClientOptions = {}): Promise<HttpClient> {
  const { counters } = options;
  const dispatcher = await openDispatcher(options);
  const once = async (url: URL, request: HttpRequest): Promise<HttpResponse> => {
    const { method = 'GET', signal } = request;
    const headers = { ...ownHeaders(url), ...request.headers };
    return { ...(await exchange(dispatcher, { url, method, headers, counters, signal })), url };
  };
  return {
    request: (url, request = {}) => followRedirects(url, (next) => once(next, request)),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  };
}

async function followRedirects(start: URL, send: (url: URL) => Promise<HttpResponse>): Promise<HttpResponse> {
  const seen = new Set<string>();
  for (let url = start; ;) {
    seen.add(url.href);
    const response = await send(url);
    const location = headerOf(response.headers, 'location');
    if (!REDIRECTS.includes(response.status) || location === undefined) return checkEncoding(response);
    response.discard();
    url = redirectTarget(url, location);
    if (seen.has(url.href)) throw redirectError(start, `redirects in a loop, back to ${redactUrl(url)}`);
    if (seen.size > MAX_REDIRECTS) throw redirectError(start, `redirects more than ${MAX_REDIRECTS} times`);
  }
}

/** Where a `Location` header leads from a page. @throws TSB_HTTP_STATUS for another scheme than http(s), and from https to http */
export function redirectTarget(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href))
    throw redirectError(from, 'redirects to something that is not a URL');
  const target = new URL(location, from);
  if (target.protocol !== 'http:' && target.protocol !== 'https:')
    throw redirectError(from, `redirects to a ${target.protocol.slice(0, -1)} URL`);
  if (from.protocol === 'https:' && target.protocol === 'http:')
    throw redirectError(from, `redirects from https to unprotected http at ${redactUrl(target)}`);
  target.hash = '';
  if (target.origin === from.origin && target.username === '') {
    target.username = from.username;
    target.password = from.password;
  }
  return target;
}

function redirectError(url: URL, what: string): TsbuilderError {
  const name = redactUrl(url);
  return new TsbuilderError('TSB_HTTP_STATUS', `${name}: the server ${what}`, { details: { url: name } });
}

/** Encodings that are the stored file itself: some servers label every `.xz` file with one. */
const AS_STORED = ['', 'identity', 'xz', 'x-xz'];

/** We asked for `identity`; a body encoded all the same would neither match its checksum nor have usable ranges. */
function checkEncoding(response: HttpResponse): HttpResponse {
  const encoding = headerOf(response.headers, 'content-encoding')?.trim().toLowerCase() ?? '';
  if (response.status >= 300 || AS_STORED.includes(encoding)) return response;
  response.discard();
  throw protocolError(response.url, `the server sent the content encoded as ${JSON.stringify(encoding)}`);
}

let userAgent: string | undefined;

function ownHeaders(url: URL): Record<string, string> {
  userAgent ??= `tsbuilder/${ownVersion()}`;
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    'user-agent': userAgent,
    'accept-encoding': 'identity',
    ...(credentials === ':' ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
  };
}

function ownVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
