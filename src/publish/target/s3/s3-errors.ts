import { type ErrorCode, TsbuilderError, errnoOf, isAbort, messageOf } from '../../../errors.js';
import { networkError } from '../../../io/http-errors.js';

/** What was asked of whom, for messages. */
interface S3Request {
  readonly name: string;
  readonly bucket: string;
  readonly endpoint: string | undefined;
}

/** What is known of an error of the client library. */
interface Told {
  readonly code: ErrorCode;
  readonly what: string;
  readonly hint: string;
}

const CREDENTIALS =
  'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile in ~/.aws/credentials.';
const KEY_REFUSED: Told = {
  code: 'TSB_CREDENTIALS',
  what: 'the server does not accept the key',
  hint: 'Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile; and --region.',
};
const OTHER_REGION: Told = {
  code: 'TSB_HTTP_STATUS',
  what: 'the bucket is in another region',
  hint: 'Say which one with --region.',
};

/** By the names that errors have in the library and in answers of servers. */
const TOLD: Readonly<Record<string, Told>> = {
  CredentialsProviderError: { code: 'TSB_CREDENTIALS', what: 'there are no credentials', hint: CREDENTIALS },
  TokenProviderError: { code: 'TSB_CREDENTIALS', what: 'there are no credentials', hint: CREDENTIALS },
  InvalidAccessKeyId: KEY_REFUSED,
  SignatureDoesNotMatch: KEY_REFUSED,
  InvalidToken: KEY_REFUSED,
  ExpiredToken: {
    ...KEY_REFUSED,
    what: 'the credentials have expired',
    hint: 'Get new ones, and run the command again.',
  },
  RequestTimeTooSkewed: {
    code: 'TSB_CREDENTIALS',
    what: 'the clock of this machine is too far from that of the server',
    hint: 'Set the clock: requests are signed with the time.',
  },
  PermanentRedirect: OTHER_REGION,
  AuthorizationHeaderMalformed: OTHER_REGION,
  AccessDenied: {
    code: 'TSB_ACCESS_DENIED',
    what: 'access is denied',
    hint: 'The key must be allowed to list the bucket, and to get, put and delete objects (docs/publish.md).',
  },
  NoSuchBucket: {
    code: 'TSB_NOT_FOUND',
    what: 'there is no such bucket',
    hint: 'Make it first; tsbuilder makes no buckets. Or check --endpoint and --region.',
  },
  NoSuchUpload: {
    code: 'TSB_CONTENT_CHANGED',
    what: 'another publisher has ended an upload of this one',
    hint: 'The index that was there still holds. Run the command again.',
  },
};

const BY_STATUS: Readonly<Record<number, string>> = { 301: 'PermanentRedirect', 403: 'AccessDenied' };

/**
 * An error of the client library as ours: TSB_CREDENTIALS, TSB_ACCESS_DENIED, TSB_NOT_FOUND for a bucket that is not there,
 * TSB_CONTENT_CHANGED, TSB_USAGE without a region, TSB_HTTP_STATUS for other answers, TSB_NETWORK and TSB_NETWORK_TIMEOUT without one.
 */
export function s3Error(error: unknown, { name, bucket, endpoint }: S3Request): unknown {
  if (!(error instanceof Error) || error instanceof TsbuilderError || isAbort(error)) return error;
  const status = statusOf(error);
  const told = find(error.name) ?? find(BY_STATUS[status ?? 0] ?? '');
  const details = { bucket, ...(status !== undefined && { status }), error: error.name };
  if (told) {
    const { code, what, hint } = told;
    return new TsbuilderError(code, `${name}: ${what}: ${messageOf(error)}`, { hint, details, cause: error });
  }
  if (/region is missing/i.test(error.message)) {
    const hint = 'Say it with --region, or AWS_REGION. With --endpoint none is needed.';
    return new TsbuilderError('TSB_USAGE', `${name}: the region is not known`, { hint, cause: error });
  }
  if (status === undefined) return silence(error, endpoint ?? name);
  const answer = `${name}: the server answered with HTTP status ${status}`;
  // The library has no name for what it could not read; what it says then is for programmers.
  const isForeign = UNREAD.includes(error.name);
  const hint = isForeign ? 'What answers there may be no S3 server: check --endpoint.' : undefined;
  const message = isForeign
    ? `${answer}, not in the way of S3`
    : `${answer}: ${error.name}: ${messageOf(error)}`;
  return new TsbuilderError('TSB_HTTP_STATUS', message, { hint, details, cause: error });
}

/** Names of errors whose answer was not one of an S3 server. */
const UNREAD: readonly string[] = ['Error', 'SyntaxError', 'Unknown', 'UnknownError'];

function find(name: string): Told | undefined {
  return Object.hasOwn(TOLD, name) ? TOLD[name] : undefined;
}

/** The HTTP status of the answer that the error is about, if there was one. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  const { httpStatusCode } = error.$metadata as { httpStatusCode?: number };
  return httpStatusCode;
}

function silence(error: Error, where: string): TsbuilderError {
  // The library calls a connection that was broken off a time-out too.
  if (error.name === 'TimeoutError' && errnoOf(error) === undefined)
    return new TsbuilderError('TSB_NETWORK_TIMEOUT', `${where}: the server did not answer in time`, {
      cause: error,
    });
  return networkError(where, error);
}
