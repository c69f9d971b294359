import { TsbuilderError, errnoOf } from '../errors.js';
import { redactUrl } from './redact-url.js';
import { tlsProblem } from './tls-errors.js';

/** Response headers as undici gives them: lower-case names. */
export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The value of header `name`, or undefined; of a repeated header the first. */
export function headerOf(headers: HttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

const TIMEOUTS = ['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'];
const CONNECT = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'];
const PERMANENT = [
  'ENOTFOUND',
  'UND_ERR_INVALID_ARG',
  'UND_ERR_ABORTED',
  'UND_ERR_DESTROYED',
  'UND_ERR_HEADERS_OVERFLOW',
];

/**
 * What undici or a socket threw, as TSB_NETWORK or TSB_NETWORK_TIMEOUT. `details.retryable` tells whether another
 * attempt may help: a name that does not exist or a certificate that is wrong stays so.
 */
export function networkError(url: string | URL, error: unknown): TsbuilderError {
  if (error instanceof TsbuilderError) return error;
  const name = redactUrl(url);
  const code = codeOf(error);
  const tls = tlsProblem(code);
  const details = { url: name, errno: code, retryable: !PERMANENT.includes(code) && !tls };
  if (TIMEOUTS.includes(code)) {
    return new TsbuilderError('TSB_NETWORK_TIMEOUT', `${name}: ${timeoutText(code)}`, {
      details,
      cause: error,
    });
  }
  return new TsbuilderError('TSB_NETWORK', `${name}: ${tls?.reason ?? reasonText(code, error)}`, {
    hint: tls?.hint ?? hintFor(code),
    details,
    cause: error,
  });
}

/** undici wraps what went wrong in the TLS of a tunnel through a proxy. */
function codeOf(error: unknown): string {
  const code = errnoOf(error) ?? '';
  return code === 'UND_ERR_PRX_TLS' && error instanceof Error ? (errnoOf(error.cause) ?? code) : code;
}

function timeoutText(code: string): string {
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return 'the server accepted the connection and then sent no answer';
  if (code === 'UND_ERR_BODY_TIMEOUT') return 'the server stopped sending in the middle of its answer';
  return 'the connection could not be made in time';
}

function reasonText(code: string, error: unknown): string {
  if (code === 'ENOTFOUND') return 'there is no host of that name';
  if (code === 'EAI_AGAIN') return 'the host name could not be looked up just now';
  if (code === 'ECONNREFUSED') return 'the connection was refused';
  if (code === 'UND_ERR_SOCKET') return 'the connection was closed before the answer was complete';
  const text = error instanceof Error && error.message !== '' ? error.message : code;
  return text === '' ? 'the request failed' : text;
}

function hintFor(code: string): string | undefined {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'Check the host name, the network and the proxy settings.';
  return undefined;
}

/**
 * The error for an answer that is not the content asked for: TSB_HTTP_STATUS, with `details.status`, whether it is
 * worth another attempt, and what `Retry-After` says.
 */
export function statusError(url: string | URL, status: number, headers: HttpHeaders): TsbuilderError {
  const name = redactUrl(url);
  const retryAfterMs = parseRetryAfter(headerOf(headers, 'retry-after'));
  const retryable = status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
  return new TsbuilderError('TSB_HTTP_STATUS', `${name}: the server answered with HTTP status ${status}`, {
    hint: statusHint(status),
    details: { url: name, status, retryable, retryAfterMs },
  });
}

function statusHint(status: number): string | undefined {
  if (status === 404 || status === 410)
    return 'The file is not there: check the address, or list the source again.';
  if (status === 401 || status === 403)
    return 'The server refuses access: check the address and your credentials.';
  if (status === 407) return 'The proxy wants a user name and password: http://USER:PASSWORD@HOST:PORT';
  return undefined;
}

/** Milliseconds that a `Retry-After` header (seconds or a date, RFC 9110 section 10.2.3) asks for, or undefined. */
export function parseRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** A protocol violation by the server. Another attempt is worth it only where `retryable` says so. */
export function protocolError(url: string | URL, what: string, retryable = false): TsbuilderError {
  const name = redactUrl(url);
  return new TsbuilderError('TSB_NETWORK', `${name}: ${what}`, { details: { url: name, retryable } });
}

/** Whether a network operation that failed with `error` may succeed when it is tried again. */
export function isRetryable(error: unknown): error is TsbuilderError {
  return error instanceof TsbuilderError && error.details['retryable'] === true;
}

/** Whether `error` came before any connection was made: a server that is down rather than one that is busy. */
export function isConnectFailure(error: TsbuilderError): boolean {
  return CONNECT.includes(String(error.details['errno'] ?? ''));
}
