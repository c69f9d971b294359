import { forEachParallel } from '../../../io/parallel.js';
import type { PublishTarget, PublishedFile, TargetOptions } from '../publish-target.js';
import type { S3Bucket } from './s3-bucket.js';
import { abortOn, isStored } from './s3-object.js';
import { PARALLEL } from './s3-parts.js';
import { readStored, replaceStored } from './s3-replace.js';
import { endUploads, listUnfinished } from './s3-unfinished.js';
import { uploadFiles } from './s3-upload.js';

/**
 * A folder of an S3 bucket. An object appears whole or not at all; it is the same when it has the size and, in its metadata, the SHA-512.
 * Publishers cannot exclude each other there; the index is replaced by a conditional write.
 */
export function s3Target(bucket: S3Bucket): PublishTarget {
  const { name, client, sdk, prefix } = bucket;
  const objectCalled = (file: string) => ({ Bucket: bucket.bucket, Key: `${prefix}${file}` });
  return {
    name,
    async missing(files, { signal }) {
      const found = new Set<PublishedFile>();
      const look = async (file: PublishedFile, stop: AbortSignal): Promise<void> => {
        if (!(await isStored(bucket, file, stop))) found.add(file);
      };
      await forEachParallel(files, look, { jobs: PARALLEL, signal });
      return files.filter((file) => found.has(file));
    },
    send: (files, options) => uploadFiles(bucket, files, options),
    list: (options) => listObjects(bucket, options),
    replace: (index, options) => replaceStored(bucket, index, options),
    sweep: (files, options) => sweepUploads(bucket, files, options),
    readText: async (file, { signal }) => (await readStored(bucket, file, signal))?.text,
    async remove(names, { signal }) {
      const remove = async (file: string, stop: AbortSignal): Promise<void> => {
        await bucket.ask(client.send(new sdk.DeleteObjectCommand(objectCalled(file)), abortOn(stop)));
      };
      await forEachParallel(names, remove, { jobs: PARALLEL, signal });
    },
    exclusively: (action) => action(),
  };
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

/** Ends unfinished uploads of templates in the folder, left by a publisher that was interrupted, but for those of `files`. */
async function sweepUploads(
  bucket: S3Bucket,
  files: readonly PublishedFile[],
  { signal }: TargetOptions,
): Promise<void> {
  const { prefix } = bucket;
  const kept = new Set(files.map(({ name }) => `${prefix}${name}`));
  const found = (await listUnfinished(bucket, prefix, signal)) ?? [];
  const isTemplate = (key: string): boolean => /^[^/]+\.r\d+\.xz$/.test(key.slice(prefix.length));
  const left = found.filter(({ Key }) => isTemplate(Key) && !kept.has(Key));
  await endUploads(bucket, left, signal);
}
