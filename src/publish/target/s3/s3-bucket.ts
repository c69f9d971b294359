import type { S3Client } from '@aws-sdk/client-s3';
import { TsbuilderError } from '../../../errors.js';
import { s3Error } from './s3-errors.js';
import type { S3Location } from './s3-location.js';

/** How a bucket is reached. What is left out comes from the AWS environment and profile. */
export interface S3Options {
  /** URL of a server that is not Amazon's. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** Whether the bucket is part of the path, not of the host name. Default: where there is an endpoint. */
  readonly pathStyle?: boolean | undefined;
}

/** The client library, loaded when it is needed. */
type Sdk = typeof import('@aws-sdk/client-s3');

/** A folder of a bucket, ready to be worked on. */
export interface S3Bucket extends S3Location {
  /** For messages. */
  readonly name: string;
  readonly client: S3Client;
  readonly sdk: Sdk;
  /** What went wrong with a request, by its code: see `s3Error`. */
  readonly failure: (error: unknown) => unknown;
  /** Awaits the answer to a request. @throws what `failure` makes of what went wrong */
  ask<T>(request: Promise<T>): Promise<T>;
}

/** With the library's pauses between them, some ten seconds of trying. */
const ATTEMPTS = 8;
const CONNECT_MS = 10_000;
const SILENCE_MS = 60_000;

/**
 * A client for the bucket, with the credentials of the usual chain: environment, profile, SSO, container, instance. Nothing is sent yet.
 *
 * @throws TSB_TOOL_MISSING without the library, TSB_USAGE for an endpoint that is no URL
 */
export async function openBucket(location: S3Location, options: S3Options): Promise<S3Bucket> {
  const { bucket, prefix } = location;
  const env = process.env;
  const { endpoint } = options;
  if (endpoint !== undefined && !(/^https?:\/\/[^/]/i.test(endpoint) && URL.canParse(endpoint)))
    throw new TsbuilderError('TSB_USAGE', `--endpoint ${JSON.stringify(endpoint)}: is not an http(s) URL`);
  const hasEndpoint =
    endpoint !== undefined || Boolean(env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL']);
  const region = options.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
  const sdk = await loadSdk();
  const client = new sdk.S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...((region !== undefined || hasEndpoint) && { region: region ?? 'us-east-1' }),
    forcePathStyle: options.pathStyle ?? hasEndpoint,
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
    // Content-MD5 is understood by every server; the newer checksums are not.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const name = `s3://${bucket}/${prefix}`;
  const failure = (error: unknown): unknown => s3Error(error, { name, bucket, endpoint });
  const ask = async <T>(request: Promise<T>): Promise<T> => {
    try {
      return await request;
    } catch (error) {
      throw failure(error);
    }
  };
  return { bucket, prefix, name, client, sdk, failure, ask };
}

async function loadSdk(): Promise<Sdk> {
  // The version that is installed takes the Node that runs it; that later ones will not is no news for users.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  try {
    return await import('@aws-sdk/client-s3');
  } catch (error) {
    throw new TsbuilderError('TSB_TOOL_MISSING', 's3://: the package @aws-sdk/client-s3 is not installed', {
      hint: 'It is an optional dependency: install tsbuilder without --omit=optional.',
      cause: error,
    });
  }
}
