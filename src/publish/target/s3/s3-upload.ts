import { createHash } from 'node:crypto';
import type { CompletedPart, PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { ByteSource } from '../../../io/byte-source.js';
import { openFileSource } from '../../../io/file-source.js';
import { startHash } from '../../../io/hash-content.js';
import { oneAtATime } from '../../../io/one-at-a-time.js';
import { forEachParallel } from '../../../io/parallel.js';
import { assertUnchanged } from '../hash-file.js';
import type { PublishedFile, TargetOptions } from '../publish-target.js';
import type { S3Bucket } from './s3-bucket.js';

/** How many requests are under way at once: with parts of 16 MiB, 64 MiB are held in memory. */
export const PARALLEL = 4;
const MIB = 1024 ** 2;
const SMALLEST_PART = 16 * MIB;
/** What the protocol allows. */
const MOST_PARTS = 10_000;
const CLEANUP_MS = 10_000;

/** The SHA-512 of an object is kept in its metadata under this name. */
export const HASH_FIELD = 'sha512';

/** Uploads `files`, in any order: small ones several at once, large ones in parts, several parts at once. */
export async function uploadFiles(
  bucket: S3Bucket,
  files: readonly PublishedFile[],
  options: TargetOptions,
): Promise<void> {
  const isLarge = ({ size }: PublishedFile): boolean => size > SMALLEST_PART;
  for (const file of files.filter(isLarge)) await uploadInParts(bucket, file, options);
  const small = files.filter((file) => !isLarge(file));
  const upload = (file: PublishedFile, signal: AbortSignal) =>
    uploadWhole(bucket, file, { ...options, signal });
  await forEachParallel(small, upload, { jobs: PARALLEL, signal: options.signal });
}

/** What every object is made with: it can be told from its headers how to use it, and whether it is what it should be. */
function objectOf({ bucket, prefix }: S3Bucket, file: PublishedFile) {
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

async function uploadWhole(bucket: S3Bucket, file: PublishedFile, options: TargetOptions): Promise<void> {
  const { client, sdk } = bucket;
  await using source = await openFileSource(file.path);
  const data = await source.read(0, source.size, options.signal);
  const hasher = startHash();
  hasher.update(data);
  assertUnchanged(file, hasher.digest().sha512);
  const command = new sdk.PutObjectCommand({ ...objectOf(bucket, file), Body: data, ContentMD5: md5(data) });
  await bucket.ask(client.send(command, abortOn(options.signal)));
  options.onProgress?.(data.length);
}

/** Nothing of it is left in the bucket when it fails or is interrupted: unfinished uploads are not seen, but paid for. */
async function uploadInParts(bucket: S3Bucket, file: PublishedFile, options: TargetOptions): Promise<void> {
  const { client, sdk } = bucket;
  const object = objectOf(bucket, file);
  options.signal?.throwIfAborted();
  // Not to be interrupted: the upload could exist without its name being known.
  const { UploadId } = await bucket.ask(client.send(new sdk.CreateMultipartUploadCommand(object)));
  const upload = { Bucket: object.Bucket, Key: object.Key, UploadId };
  try {
    const parts = await sendParts(bucket, file, { ...options, upload });
    const command = new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } });
    await bucket.ask(client.send(command, abortOn(options.signal)));
  } catch (error) {
    const abort = new sdk.AbortMultipartUploadCommand(upload);
    // What broke the upload matters; what is left of it is taken away by the next run.
    await client.send(abort, abortOn(AbortSignal.timeout(CLEANUP_MS))).catch(() => undefined);
    throw error;
  }
}

/** An upload under way. */
interface Upload {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string | undefined;
}

/** @throws TSB_CONTENT_CHANGED when the file is not what was verified; then the upload is not to be completed */
async function sendParts(
  bucket: S3Bucket,
  file: PublishedFile,
  options: TargetOptions & { readonly upload: Upload },
): Promise<CompletedPart[]> {
  await using source = await openFileSource(file.path);
  const hasher = startHash();
  const inOrder = oneAtATime();
  const parts: CompletedPart[] = [];
  const sendPart = async ({ number, offset, length }: Part, signal: AbortSignal): Promise<void> => {
    const data = await inOrder(() => readAndHash(source, { offset, length, hasher, signal }));
    const command = new bucket.sdk.UploadPartCommand({
      ...{ ...options.upload, PartNumber: number, Body: data, ContentMD5: md5(data) },
    });
    const { ETag } = await bucket.ask(bucket.client.send(command, abortOn(signal)));
    parts.push({ PartNumber: number, ETag });
    options.onProgress?.(data.length);
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

/** A part of a file: its number counts from 1. */
interface Part {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
}

/** The parts in which a file of `size` bytes is sent: as few as 16 MiB each gives, or larger ones where those were too many. */
export function partsOf(size: number): Part[] {
  const length = Math.max(SMALLEST_PART, Math.ceil(size / MOST_PARTS / MIB) * MIB);
  return Array.from({ length: Math.ceil(size / length) }, (_, at) => ({
    number: at + 1,
    offset: at * length,
    length: Math.min(length, size - at * length),
  }));
}

function md5(data: Uint8Array): string {
  return createHash('md5').update(data).digest('base64');
}

/** The library's option for a signal. */
export function abortOn(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}
