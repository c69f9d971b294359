import { TsbuilderError } from '../errors.js';
import type { HttpResponse } from './http-client.js';
import { type HttpHeaders, headerOf, protocolError, statusError } from './http-errors.js';
import type { PinnedUrl } from './http-pin.js';
import { redactUrl } from './redact-url.js';

/** What tells one version of a file on a server from another. */
export interface HttpIdentity {
  /** Length in bytes, when the server says it. */
  readonly size: number | undefined;
  /** Only a strong ETag: a weak one may stay the same when bytes change. */
  readonly etag: string | undefined;
  /** `Last-Modified`, only where it counts as strong (RFC 9110 section 8.8.2.2). */
  readonly lastModified: string | undefined;
}

/** The parts of a `Content-Range: bytes FIRST-LAST/SIZE` header; undefined where the header has `*`. */
export interface ContentRange {
  readonly first: number | undefined;
  readonly last: number | undefined;
  readonly size: number | undefined;
}

/** Reads a Content-Range header (RFC 9110 section 14.4); undefined when it is missing or makes no sense. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = /^\s*bytes\s+(?:(\d{1,16})-(\d{1,16})|\*)\/(?:(\d{1,16})|\*)\s*$/i.exec(value ?? '');
  if (!match) return undefined;
  const [first, last, size] = match.slice(1).map((text) => (text ? Number(text) : undefined));
  const numbers = [first, last, size].filter((number) => number !== undefined);
  const sane =
    numbers.every(Number.isSafeInteger) && (first ?? 0) <= (last ?? 0) && (last ?? -1) < (size ?? Infinity);
  return sane ? { first, last, size } : undefined;
}

/** The identity in the headers of a 200, 206 or HEAD answer. */
export function identityOf(status: number, headers: HttpHeaders): HttpIdentity {
  const etag = headerOf(headers, 'etag');
  const length = headerOf(headers, 'content-length');
  const whole = length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  return {
    size: status === 206 ? parseContentRange(headerOf(headers, 'content-range'))?.size : whole,
    etag: etag !== undefined && /^"[^"]*"$/.test(etag) ? etag : undefined,
    lastModified: strongDate(headerOf(headers, 'last-modified'), headerOf(headers, 'date')),
  };
}

/** A modification time is a strong validator only when the answer was made later than it, by a second at least. */
function strongDate(modified: string | undefined, date: string | undefined): string | undefined {
  if (modified === undefined || date === undefined) return undefined;
  return Date.parse(date) - Date.parse(modified) >= 1000 ? modified : undefined;
}

/** What goes into `If-Range`: the strong ETag, else the strong date, else nothing. */
export function validatorOf(identity: HttpIdentity): string | undefined {
  return identity.etag ?? identity.lastModified;
}

/** Whether `other` can be another answer about the same bytes: nothing that both sides know differs. */
export function isSameVersion(one: HttpIdentity, other: HttpIdentity): boolean {
  const differs = <T>(a: T | undefined, b: T | undefined): boolean =>
    a !== undefined && b !== undefined && a !== b;
  if (differs(one.size, other.size) || differs(one.etag, other.etag)) return false;
  return one.etag !== undefined || !differs(one.lastModified, other.lastModified);
}

/** A file's identity, whether its server answers range requests, and the first bytes if it does. */
export interface ProbedFile extends HttpIdentity {
  readonly ranges: boolean;
  readonly head: Uint8Array;
}

/** Bytes asked for by the probe: the headers of images and of compressed files are in them. */
const PROBE = 512;
const NOTHING = new Uint8Array(0);

/**
 * Asks for a file's first bytes, and from the answer learns length, validators and whether ranges work. The length
 * is asked for by HEAD when the answer to the range hides it.
 *
 * @throws TSB_HTTP_STATUS, TSB_NETWORK, TSB_NETWORK_TIMEOUT
 */
export async function probeFile(url: PinnedUrl, signal?: AbortSignal): Promise<ProbedFile> {
  const response = await url.request({ headers: { range: `bytes=0-${PROBE - 1}` }, signal });
  const { status, headers } = response;
  const identity = identityOf(status, headers);
  if (status === 206) {
    const head = await receiveHead(response);
    return { ...identity, size: identity.size ?? (await sizeByHead(url, signal)), ranges: true, head };
  }
  response.discard();
  if (status === 416 && parseContentRange(headerOf(headers, 'content-range'))?.size === 0)
    return { ...identity, size: 0, ranges: true, head: NOTHING };
  // An empty file has no first byte, so some servers answer with the whole of it: then nothing is left to range over.
  if (status === 200) return { ...identity, ranges: identity.size === 0, head: NOTHING };
  throw statusError(response.url, status, headers);
}

/** The bytes of the answer to the probe, which may be fewer than were asked for. */
async function receiveHead(response: HttpResponse): Promise<Uint8Array> {
  const range = parseContentRange(headerOf(response.headers, 'content-range'));
  if (range?.first !== 0 || range.last === undefined || range.last >= PROBE) {
    response.discard();
    throw wrongRange(response, `bytes 0-${PROBE - 1}`);
  }
  const data = new Uint8Array(range.last + 1);
  let done = 0;
  await response.receive((chunk) => {
    if (done + chunk.length > data.length)
      throw protocolError(response.url, 'the server sent more than was asked for');
    data.set(chunk, done);
    done += chunk.length;
  });
  if (done === data.length) return data;
  throw protocolError(response.url, `the server sent ${done} of the first ${data.length} bytes`, true);
}

async function sizeByHead(url: PinnedUrl, signal?: AbortSignal): Promise<number | undefined> {
  const response = await url.request({ method: 'HEAD', signal });
  response.discard();
  return response.status === 200 ? identityOf(200, response.headers).size : undefined;
}

/** The error for an answer that covers another range than the one asked for. */
export function wrongRange(response: HttpResponse, wanted: string): TsbuilderError {
  const got = headerOf(response.headers, 'content-range');
  const text = got === undefined ? 'no Content-Range' : `Content-Range ${JSON.stringify(got)}`;
  return protocolError(response.url, `asked for ${wanted}, the server answered 206 with ${text}`);
}

/** The error for a file that is not the one it was when it was opened: TSB_CONTENT_CHANGED. */
export function changedError(url: string | URL, what: string): TsbuilderError {
  const name = redactUrl(url);
  return new TsbuilderError('TSB_CONTENT_CHANGED', `${name}: the file changed on the server: ${what}`, {
    hint: 'It may just have been replaced: try again.',
    details: { url: name },
  });
}
