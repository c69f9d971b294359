import type { CompletedPart } from '@aws-sdk/client-s3';
import { TsbuilderError, isAbort } from '../../../errors.js';
import type { ByteSource } from '../../../io/byte-source.js';
import { openFileSource } from '../../../io/file-source.js';
import { formatSize } from '../../../io/format-size.js';
import { startHash } from '../../../io/hash-content.js';
import { oneAtATime } from '../../../io/one-at-a-time.js';
import { forEachParallel } from '../../../io/parallel.js';
import { assertUnchanged } from '../hash-file.js';
import type { PublishedFile, TargetOptions } from '../publish-target.js';
import { type Part, md5, partsOf } from './file-parts.js';
import type { S3Bucket } from './s3-bucket.js';
import { abortOn, isStored } from './s3-object.js';
import { type Upload, findOrStart, start } from './s3-start.js';
import { endUploads } from './s3-unfinished.js';

/** How many requests are under way at once: with parts of 16 MiB, 64 MiB are held in memory. */
export const PARALLEL = 4;
const CLEANUP_MS = 10_000;

/**
 * Sends a file in parts, several at once; goes on with an upload that was interrupted when all that has arrived of it is what the file has
 * there. What has arrived stays in the bucket when this is interrupted or the server cannot be reached, which `warn` is told, and is taken
 * away after all other failures.
 *
 * @throws TSB_CONTENT_CHANGED when the file is not what was verified, and see `s3Error`
 */
export async function uploadInParts(
  bucket: S3Bucket,
  file: PublishedFile,
  options: TargetOptions,
): Promise<void> {
  const upload = await findOrStart(bucket, file, options.signal);
  await finish(bucket, file, { ...options, upload });
  if (upload.stored.size === 0 || (await isStored(bucket, file, options.signal))) return;
  // Begun for another file that has the same parts there: the content is right now, what its metadata say is not.
  await finish(bucket, file, { ...options, upload: { ...(await start(bucket, file)), isListed: true } });
}

async function finish(
  bucket: S3Bucket,
  file: PublishedFile,
  options: TargetOptions & { readonly upload: Upload },
): Promise<void> {
  const { signal } = options;
  const { Bucket, Key, UploadId, stored, isListed } = options.upload;
  let arrived = [...stored.values()].reduce((sum, { size }) => sum + size, 0);
  const onSent = (bytes: number): void => void (arrived += bytes);
  try {
    const Parts = await sendParts(bucket, file, { ...options, onSent });
    const upload = { Bucket, Key, UploadId, MultipartUpload: { Parts } };
    const command = new bucket.sdk.CompleteMultipartUploadCommand(upload);
    await bucket.ask(bucket.client.send(command, abortOn(signal)));
  } catch (error) {
    if (isEnded(error) && (await isStored(bucket, file, signal))) return;
    if (arrived > 0 && isListed && isPassing(error)) options.warn?.(leftOf(bucket, file, arrived));
    // What broke the upload matters; what is left of it is taken away by the next run.
    else await endUploads(bucket, [{ Bucket, Key, UploadId }], cleanup()).catch(() => undefined);
    throw error;
  }
}

function cleanup(): AbortSignal {
  return AbortSignal.timeout(CLEANUP_MS);
}

function leftOf({ name }: S3Bucket, file: PublishedFile, arrived: number): string {
  const what = `${formatSize(arrived)} of ${formatSize(file.size)}`;
  return `${name}${file.name}: ${what} have arrived and stay in the bucket, unseen: the next repo publish goes on with them`;
}

/** The upload is not there any more: it was completed, by another publisher or by a request whose answer was lost, or taken away. */
function isEnded(error: unknown): boolean {
  return error instanceof TsbuilderError && error.details['error'] === 'NoSuchUpload';
}

/** What may be over when the command is run again, and says nothing against the parts that have arrived. */
function isPassing(error: unknown): boolean {
  if (isAbort(error)) return true;
  if (!(error instanceof TsbuilderError)) return false;
  const { code, details } = error;
  if (code === 'TSB_HTTP_STATUS') return Number(details['status']) >= 500;
  return ['TSB_NETWORK', 'TSB_NETWORK_TIMEOUT', 'TSB_CREDENTIALS'].includes(code);
}

/** @throws TSB_CONTENT_CHANGED when the file is not what was verified; then the upload is not to be completed */
async function sendParts(
  bucket: S3Bucket,
  file: PublishedFile,
  options: TargetOptions & { readonly upload: Upload; readonly onSent: (bytes: number) => void },
): Promise<CompletedPart[]> {
  const { Bucket, Key, UploadId, stored } = options.upload;
  await using source = await openFileSource(file.path);
  const hasher = startHash();
  const inOrder = oneAtATime();
  const parts: CompletedPart[] = [];
  const sendPart = async (part: Part, signal: AbortSignal): Promise<void> => {
    const { number, length } = part;
    const data = await inOrder(() => readAndHash(source, { ...part, hasher, signal }));
    const there = stored.get(number);
    parts.push({ PartNumber: number, ETag: there?.etag ?? (await send(data, number, signal)) });
    if (there) options.onResumed?.(length);
    else options.onSent(length);
    options.onProgress?.(length);
  };
  const send = async (data: Uint8Array, number: number, signal: AbortSignal): Promise<string | undefined> => {
    const ContentMD5 = md5(data).toString('base64');
    const command = new bucket.sdk.UploadPartCommand({
      ...{ Bucket, Key, UploadId, PartNumber: number, Body: data, ContentMD5 },
    });
    return (await bucket.ask(bucket.client.send(command, abortOn(signal)))).ETag;
  };
  await forEachParallel(partsOf(source.size), sendPart, { jobs: PARALLEL, signal: options.signal });
  assertUnchanged(file, hasher.digest().sha512);
  return parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
}

async function readAndHash(
  source: ByteSource,
  part: { offset: number; length: number; hasher: ReturnType<typeof startHash>; signal: AbortSignal },
): Promise<Uint8Array> {
  const data = await source.read(part.offset, part.length, part.signal);
  part.hasher.update(data);
  return data;
}
