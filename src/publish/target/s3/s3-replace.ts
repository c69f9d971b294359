import { TsbuilderError } from '../../../errors.js';
import { type FormerIndex, otherIndex } from '../former-index.js';
import type { PublishedFile, TargetOptions } from '../publish-target.js';
import type { S3Bucket } from './s3-bucket.js';
import { statusOf } from './s3-errors.js';
import { abortOn, isStored } from './s3-object.js';
import { type PutCondition, uploadWhole } from './s3-upload.js';

const LARGEST_TEXT = 64 * 1024 ** 2;

/** A small object as it is. */
interface StoredText {
  readonly text: string;
  readonly etag: string | undefined;
}

/** @returns undefined when there is none of that name @throws TSB_SIZE_MISMATCH above 64 MiB, and see `s3Error` */
export async function readStored(
  { client, sdk, bucket, prefix, name, failure }: S3Bucket,
  file: string,
  signal: AbortSignal | undefined,
): Promise<StoredText | undefined> {
  const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: `${prefix}${file}` });
  try {
    const { Body, ContentLength = 0, ETag } = await client.send(command, abortOn(signal));
    if (ContentLength <= LARGEST_TEXT)
      return { text: (await Body?.transformToString('utf-8')) ?? '', etag: ETag };
    throw new TsbuilderError(
      'TSB_SIZE_MISMATCH',
      `${name}${file}: has ${ContentLength} bytes, at most ${LARGEST_TEXT} are read`,
    );
  } catch (error) {
    if (error instanceof sdk.NoSuchKey) return undefined;
    throw failure(error);
  }
}

/**
 * Puts an index in place of the one that was read before, by a conditional write: the server itself refuses it when another publisher's
 * has come meanwhile. One that knows no such writes is asked without the condition, which `warn` is told.
 *
 * @throws TSB_CONTENT_CHANGED for another publisher's index, and see `s3Error`
 */
export async function replaceStored(
  bucket: S3Bucket,
  file: PublishedFile,
  { former, warn, signal }: TargetOptions & FormerIndex,
): Promise<void> {
  const found = await readStored(bucket, file.name, signal);
  if (found?.text !== former) throw otherIndex(bucket.name);
  const condition: PutCondition = found ? { IfMatch: found.etag } : { IfNoneMatch: '*' };
  try {
    await uploadWhole(bucket, file, { ...condition, signal });
  } catch (error) {
    // The library tries again when an answer is lost: what it finds then may be its own.
    if (isConflict(error)) {
      if (await isStored(bucket, file, signal)) return;
      throw otherIndex(bucket.name);
    }
    if (!isUnknown(bucket, error)) throw bucket.failure(error);
    await bucket.ask(uploadWhole(bucket, file, { signal }));
    warn?.(
      `${bucket.name}: the server knows no conditional writes (HTTP status ${statusOf(error)}): an index that another publisher sends in the same moment would be lost`,
    );
  }
}

/** 404: it must match something, and was taken away. */
function isConflict(error: unknown): boolean {
  return [404, 409, 412].includes(statusOf(error) ?? 0);
}

/** What servers answer that do not know the condition; credentials that are not accepted have the status 400 too. */
function isUnknown(bucket: S3Bucket, error: unknown): boolean {
  if (statusOf(error) === 501) return true;
  const told = bucket.failure(error);
  return told instanceof TsbuilderError && told.code === 'TSB_HTTP_STATUS' && statusOf(error) === 400;
}
