import type { ListMultipartUploadsCommandOutput } from '@aws-sdk/client-s3';
import { isAbort } from '../../../errors.js';
import { forEachParallel } from '../../../io/parallel.js';
import type { S3Bucket } from './s3-bucket.js';
import { statusOf } from './s3-errors.js';
import { abortOn } from './s3-object.js';

/** An upload in parts that was begun and not ended. */
export interface UnfinishedUpload {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
}

/** A part that has arrived. */
export interface StoredPart {
  readonly size: number;
  /** As it is named when the upload is completed. The MD5 in quotes, unless the bucket encrypts with keys of its owner. */
  readonly etag: string;
}

/** What a server answers that does not let this key look, or that cannot: 405 and 501. */
const REFUSALS: readonly (number | undefined)[] = [403, 405, 501];
const MOST_AT_ONCE = 4;

/**
 * The unfinished uploads of objects whose keys begin with `prefix`, those begun last in front.
 *
 * @returns undefined when the server refuses to list them
 */
export async function listUnfinished(
  { client, sdk, bucket, failure }: S3Bucket,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<UnfinishedUpload[] | undefined> {
  const found: NonNullable<ListMultipartUploadsCommandOutput['Uploads']> = [];
  let at: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  for (let going = true; going;) {
    const command = new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...at });
    const page = await unlessRefused(client.send(command, abortOn(signal)), failure);
    if (!page) return undefined;
    found.push(...(page.Uploads ?? []));
    at = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    going = page.IsTruncated === true;
  }
  return found
    .sort((a, b) => (b.Initiated?.getTime() ?? 0) - (a.Initiated?.getTime() ?? 0))
    .flatMap(({ Key, UploadId }) =>
      Key === undefined || UploadId === undefined ? [] : { Bucket: bucket, Key, UploadId },
    );
}

/**
 * What has arrived of an upload, by the numbers of the parts.
 *
 * @returns undefined when the server refuses to say, or the upload has ended meanwhile
 */
export async function listStoredParts(
  { client, sdk, failure }: S3Bucket,
  upload: UnfinishedUpload,
  signal: AbortSignal | undefined,
): Promise<Map<number, StoredPart> | undefined> {
  const found = new Map<number, StoredPart>();
  let marker: string | undefined;
  do {
    const command = new sdk.ListPartsCommand({ ...upload, PartNumberMarker: marker });
    const page = await unlessRefused(client.send(command, abortOn(signal)), failure, [404]);
    if (!page) return undefined;
    for (const { PartNumber = 0, Size = -1, ETag = '' } of page.Parts ?? [])
      found.set(PartNumber, { size: Size, etag: ETag });
    marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
  } while (marker !== undefined);
  return found;
}

/** Ends uploads and takes away what has arrived of them. One that is gone, or that this key must not end, is no fault. */
export async function endUploads(
  { client, sdk, failure }: S3Bucket,
  uploads: readonly UnfinishedUpload[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const end = async (upload: UnfinishedUpload, stop: AbortSignal): Promise<void> => {
    const command = new sdk.AbortMultipartUploadCommand({ ...upload });
    await unlessRefused(client.send(command, abortOn(stop)), failure, [404]);
  };
  await forEachParallel(uploads, end, { jobs: MOST_AT_ONCE, signal });
}

async function unlessRefused<T>(
  request: Promise<T>,
  failure: (error: unknown) => unknown,
  more: readonly number[] = [],
): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (!isAbort(error) && [...REFUSALS, ...more].includes(statusOf(error))) return undefined;
    throw failure(error);
  }
}
