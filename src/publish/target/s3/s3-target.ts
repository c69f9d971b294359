import { TsbuilderError } from '../../../errors.js';
import { forEachParallel } from '../../../io/parallel.js';
import type { PublishTarget, PublishedFile, TargetOptions } from '../publish-target.js';
import type { S3Bucket } from './s3-bucket.js';
import { statusOf } from './s3-errors.js';
import { HASH_FIELD, PARALLEL, abortOn, uploadFiles } from './s3-upload.js';

const LARGEST_TEXT = 64 * 1024 ** 2;

/**
 * A folder of an S3 bucket. An object appears whole or not at all; it is the same when it has the size and, in its metadata, the SHA-512.
 * Publishers cannot exclude each other there: what an unfinished one has left is taken away by the next.
 */
export function s3Target(bucket: S3Bucket): PublishTarget {
  const { name, client, sdk, prefix } = bucket;
  const objectCalled = (file: string) => ({ Bucket: bucket.bucket, Key: `${prefix}${file}` });
  return {
    name,
    async missing(files, { signal }) {
      const found = new Set<PublishedFile>();
      const look = async (file: PublishedFile, stop: AbortSignal): Promise<void> => {
        if (!(await isSame(bucket, file, stop))) found.add(file);
      };
      await forEachParallel(files, look, { jobs: PARALLEL, signal });
      return files.filter((file) => found.has(file));
    },
    send: (files, options) => uploadFiles(bucket, files, options),
    list: (options) => listObjects(bucket, options),
    async readText(file, { signal }) {
      const command = new sdk.GetObjectCommand(objectCalled(file));
      try {
        const { Body, ContentLength = 0 } = await client.send(command, abortOn(signal));
        if (ContentLength <= LARGEST_TEXT) return await Body?.transformToString('utf-8');
        throw new TsbuilderError(
          'TSB_SIZE_MISMATCH',
          `${name}${file}: has ${ContentLength} bytes, at most ${LARGEST_TEXT} are read`,
        );
      } catch (error) {
        if (error instanceof sdk.NoSuchKey) return undefined;
        throw bucket.failure(error);
      }
    },
    async remove(names, { signal }) {
      const remove = async (file: string, stop: AbortSignal): Promise<void> => {
        await bucket.ask(client.send(new sdk.DeleteObjectCommand(objectCalled(file)), abortOn(stop)));
      };
      await forEachParallel(names, remove, { jobs: PARALLEL, signal });
    },
    async exclusively(action, options) {
      await endUploads(bucket, options);
      return action();
    },
  };
}

async function isSame(bucket: S3Bucket, file: PublishedFile, signal: AbortSignal): Promise<boolean> {
  const command = new bucket.sdk.HeadObjectCommand({
    Bucket: bucket.bucket,
    Key: `${bucket.prefix}${file.name}`,
  });
  try {
    const { ContentLength, Metadata } = await bucket.client.send(command, abortOn(signal));
    return ContentLength === file.size && Metadata?.[HASH_FIELD] === file.sha512;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw bucket.failure(error);
  }
}

async function listObjects(bucket: S3Bucket, { signal }: TargetOptions): Promise<string[]> {
  const { client, sdk, prefix } = bucket;
  const names: string[] = [];
  let next: string | undefined;
  do {
    const command = new sdk.ListObjectsV2Command({
      ...{ Bucket: bucket.bucket, Prefix: prefix, Delimiter: '/', ContinuationToken: next },
    });
    const page = await bucket.ask(client.send(command, abortOn(signal)));
    names.push(...(page.Contents ?? []).map(({ Key = '' }) => Key.slice(prefix.length)));
    next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (next !== undefined);
  return names;
}

/** Unfinished uploads of templates in the folder, left by a publisher that was killed. */
async function endUploads(bucket: S3Bucket, { signal }: TargetOptions): Promise<void> {
  const { client, sdk, prefix } = bucket;
  const list = new sdk.ListMultipartUploadsCommand({ Bucket: bucket.bucket, Prefix: prefix });
  const { Uploads = [] } = await bucket.ask(client.send(list, abortOn(signal)));
  const ours = Uploads.filter(({ Key = '' }) => /^[^/]+\.r\d+\.xz$/.test(Key.slice(prefix.length)));
  const end = async ({ Key, UploadId }: (typeof ours)[number], stop: AbortSignal): Promise<void> => {
    const command = new sdk.AbortMultipartUploadCommand({ Bucket: bucket.bucket, Key, UploadId });
    await client.send(command, abortOn(stop)).catch((error: unknown) => {
      if (statusOf(error) !== 404) throw bucket.failure(error);
    });
  };
  await forEachParallel(ours, end, { jobs: PARALLEL, signal });
}
