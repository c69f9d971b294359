import type { ByteSource } from '../../../io/byte-source.js';
import { openFileSource } from '../../../io/file-source.js';
import type { PublishedFile } from '../publish-target.js';
import { md5, partsOf } from './file-parts.js';
import type { S3Bucket } from './s3-bucket.js';
import { objectOf } from './s3-object.js';
import {
  type StoredPart,
  type UnfinishedUpload,
  endUploads,
  listStoredParts,
  listUnfinished,
} from './s3-unfinished.js';

/** An upload in parts that is under way. */
export interface Upload extends UnfinishedUpload {
  /** Parts that had arrived before; all are those of the file. */
  readonly stored: ReadonlyMap<number, StoredPart>;
  /** Whether a later run can find out what has arrived. */
  readonly isListed: boolean;
}

/**
 * The unfinished upload of a file to go on with: one of which something has arrived, all of it what the file has there. Without one, a new
 * upload. Those that do not fit are ended.
 *
 * @throws see `s3Error`
 */
export async function findOrStart(
  bucket: S3Bucket,
  file: PublishedFile,
  signal: AbortSignal | undefined,
): Promise<Upload> {
  const { Key } = objectOf(bucket, file);
  const found = await listUnfinished(bucket, Key, signal);
  await using source = await openFileSource(file.path);
  const others: UnfinishedUpload[] = [];
  let fitting: Upload | undefined;
  for (const one of (found ?? []).filter((upload) => upload.Key === Key)) {
    const stored = fitting ? undefined : await listStoredParts(bucket, one, signal);
    if (stored && (await areOf(source, stored, signal))) fitting = { ...one, stored, isListed: true };
    else others.push(one);
  }
  await endUploads(bucket, others, signal);
  signal?.throwIfAborted();
  return fitting ?? { ...(await start(bucket, file)), isListed: found !== undefined };
}

/** Whether something has arrived, and all of it is the file's: by place, length and MD5. */
async function areOf(
  source: ByteSource,
  stored: ReadonlyMap<number, StoredPart>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const parts = partsOf(source.size);
  for (const [number, { size, etag }] of stored) {
    const part = parts[number - 1];
    if (part?.length !== size) return false;
    const data = await source.read(part.offset, part.length, signal);
    if (etag.replaceAll('"', '').toLowerCase() !== md5(data).toString('hex')) return false;
  }
  return stored.size > 0;
}

/** Begins a new upload. @throws see `s3Error` */
export async function start(bucket: S3Bucket, file: PublishedFile): Promise<Omit<Upload, 'isListed'>> {
  const object = objectOf(bucket, file);
  // Not to be interrupted: the upload could exist without its name being known.
  const command = new bucket.sdk.CreateMultipartUploadCommand(object);
  const { UploadId = '' } = await bucket.ask(bucket.client.send(command));
  return { Bucket: object.Bucket, Key: object.Key, UploadId, stored: new Map() };
}
