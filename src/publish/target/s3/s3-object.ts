import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { PublishedFile } from '../publish-target.js';
import type { S3Bucket } from './s3-bucket.js';
import { statusOf } from './s3-errors.js';

/** The SHA-512 of an object is kept in its metadata under this name. */
const HASH_FIELD = 'sha512';

/** What every object is made with: it can be told from its headers how to use it, and whether it is what it should be. */
export function objectOf({ bucket, prefix }: S3Bucket, file: PublishedFile) {
  return {
    Bucket: bucket,
    Key: `${prefix}${file.name}`,
    ContentType: contentType(file.name),
    // A name of a template is never used for other content; all else may change at any time.
    CacheControl: /\.xz(?:\.blocks)?$/.test(file.name) ? 'public, max-age=31536000, immutable' : 'no-cache',
    Metadata: { [HASH_FIELD]: file.sha512 },
  } satisfies PutObjectCommandInput;
}

function contentType(name: string): string {
  if (name.endsWith('.xz')) return 'application/x-xz';
  if (name.endsWith('.html')) return 'text/html; charset=utf-8';
  return 'text/plain; charset=utf-8';
}

/** Whether the bucket has an object that, by its size and metadata, is `file`. @throws see `s3Error` */
export async function isStored(
  { client, sdk, bucket, prefix, failure }: S3Bucket,
  file: PublishedFile,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const command = new sdk.HeadObjectCommand({ Bucket: bucket, Key: `${prefix}${file.name}` });
  try {
    const { ContentLength, Metadata } = await client.send(command, abortOn(signal));
    return ContentLength === file.size && Metadata?.[HASH_FIELD] === file.sha512;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw failure(error);
  }
}

/** The library's option for a signal. */
export function abortOn(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}
