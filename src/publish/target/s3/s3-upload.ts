import { openFileSource } from '../../../io/file-source.js';
import { startHash } from '../../../io/hash-content.js';
import { forEachParallel } from '../../../io/parallel.js';
import { assertUnchanged } from '../hash-file.js';
import type { PublishedFile, TargetOptions } from '../publish-target.js';
import { SMALLEST_PART, md5 } from './file-parts.js';
import type { S3Bucket } from './s3-bucket.js';
import { abortOn, objectOf } from './s3-object.js';
import { PARALLEL, uploadInParts } from './s3-parts.js';

/** Uploads `files`, in any order: small ones several at once, large ones in parts, several parts at once. */
export async function uploadFiles(
  bucket: S3Bucket,
  files: readonly PublishedFile[],
  options: TargetOptions,
): Promise<void> {
  const isLarge = ({ size }: PublishedFile): boolean => size > SMALLEST_PART;
  for (const file of files.filter(isLarge)) await uploadInParts(bucket, file, options);
  const small = files.filter((file) => !isLarge(file));
  const upload = async (file: PublishedFile, signal: AbortSignal): Promise<void> => {
    await bucket.ask(uploadWhole(bucket, file, { signal }));
    options.onProgress?.(file.size);
  };
  await forEachParallel(small, upload, { jobs: PARALLEL, signal: options.signal });
}

/** What an object must be for another to take its place; the server answers 412 otherwise. */
export interface PutCondition {
  /** Its ETag. */
  readonly IfMatch?: string | undefined;
  /** It must not be there. */
  readonly IfNoneMatch?: '*' | undefined;
}

/**
 * Puts a small file into the bucket in one request.
 *
 * @throws TSB_CONTENT_CHANGED when it is not what was verified, and errors of the client library as they are
 */
export async function uploadWhole(
  bucket: S3Bucket,
  file: PublishedFile,
  { signal, ...condition }: PutCondition & { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { client, sdk } = bucket;
  await using source = await openFileSource(file.path);
  const data = await source.read(0, source.size, signal);
  const hasher = startHash();
  hasher.update(data);
  assertUnchanged(file, hasher.digest().sha512);
  const ContentMD5 = md5(data).toString('base64');
  const object = { ...objectOf(bucket, file), ...condition, Body: data, ContentMD5 };
  await client.send(new sdk.PutObjectCommand(object), abortOn(signal));
}
