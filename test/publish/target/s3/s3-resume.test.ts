import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openTarget } from '../../../../src/publish/target/open-target.js';
import type { PublishedFile } from '../../../../src/publish/target/publish-target.js';
import { sha512 } from '../../../helpers/e2e-template.js';
import { type S3Asked, type S3Fate, startS3Proxy } from '../../../helpers/s3-proxy.js';
import { useS3Server } from '../../../helpers/s3-server.js';
import { scratchFolder } from '../../../helpers/scratch-folder.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MIB = 1024 ** 2;
const PART = 16 * MIB;
/** Three parts. */
const SIZE = 2 * PART + 1;

const server = useS3Server();
let client: S3Client;
let folder: Awaited<ReturnType<typeof scratchFolder>>;
let count = 0;
let place: string;
beforeEach(async () => {
  client = new S3Client({ endpoint: server().endpoint, region: 'us-east-1', forcePathStyle: true });
  folder = await scratchFolder();
  place = `place-${(count += 1)}`;
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

/** A file of that content, called the same in all tests. */
function fileOf(data: Buffer): PublishedFile {
  const path = join(folder.path, 'large');
  writeFileSync(path, data);
  return { name: 'large-x86_64.r1.xz', path, size: data.length, sha512: sha512(data) };
}

interface Sent {
  readonly resumed: number;
  readonly warnings: string[];
  readonly error: unknown;
}

const targetAt = (endpoint: string) => openTarget('.', `s3://${server().bucket}/${place}`, { endpoint });

/** Sends it, stopping where `stopAt` bytes have arrived. */
async function send(
  file: PublishedFile,
  options: { endpoint?: string; stopAt?: number } = {},
): Promise<Sent> {
  const target = await targetAt(options.endpoint ?? server().endpoint);
  const controller = new AbortController();
  const warnings: string[] = [];
  let [resumed, arrived] = [0, 0];
  const error: unknown = await target
    .send([file], {
      signal: controller.signal,
      warn: (message) => warnings.push(message),
      onResumed: (bytes) => (resumed += bytes),
      onProgress: (bytes) => {
        arrived += bytes;
        if (arrived === options.stopAt) controller.abort();
      },
    })
    .catch((reason: unknown) => reason);
  return { resumed, warnings, error };
}

const isPart = ({ method, url }: S3Asked, number: number): boolean =>
  method === 'PUT' && url.includes(`partNumber=${number}&`);

/** Two parts of the file are there, the third never arrives, and the publisher is interrupted. */
async function interrupt(
  file: PublishedFile,
  fate: (asked: S3Asked) => S3Fate = () => 'pass',
): Promise<Sent> {
  await using proxy = await startS3Proxy(server().endpoint, (asked) =>
    isPart(asked, 3) ? 'hang' : fate(asked),
  );
  return await send(file, { endpoint: proxy.endpoint, stopAt: 2 * PART });
}

/** The unfinished uploads, with the numbers of their parts. */
async function unfinished(): Promise<{ Key: string; UploadId: string; parts: number[] }[]> {
  const Bucket = server().bucket;
  const list = new ListMultipartUploadsCommand({ Bucket, Prefix: `${place}/` });
  const { Uploads = [] } = await client.send(list);
  return Promise.all(
    Uploads.map(async ({ Key = '', UploadId = '' }) => {
      const { Parts = [] } = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
      return { Key, UploadId, parts: Parts.map(({ PartNumber = 0 }) => PartNumber) };
    }),
  );
}

/** The object is the file, by its content and by what is said of it, and no upload is left. */
async function expectStored(file: PublishedFile, data: Buffer): Promise<void> {
  const found = await fetch(`${server().publicUrl}/${place}/${file.name}`);
  expect(sha512(Buffer.from(await found.arrayBuffer()))).toBe(sha512(data));
  expect(await (await targetAt(server().endpoint)).missing([file], {})).toEqual([]);
  expect(await unfinished()).toEqual([]);
}

describe('an upload that was interrupted', () => {
  it('is gone on with, and says so', async () => {
    const data = randomBytes(SIZE);
    const file = fileOf(data);
    const first = await interrupt(file);
    expect(first.error).toMatchObject({ name: 'AbortError' });
    expect(first.warnings).toEqual([expect.stringContaining('32 MiB of 32 MiB have arrived and stay')]);
    expect(await unfinished()).toMatchObject([{ parts: [1, 2] }]);
    const asked: string[] = [];
    await using proxy = await startS3Proxy(server().endpoint, ({ method, url }) => {
      if (method === 'PUT') asked.push(/partNumber=\d+/.exec(url)?.[0] ?? url);
      return 'pass';
    });
    const second = await send(file, { endpoint: proxy.endpoint });
    expect(second).toEqual({ resumed: 2 * PART, warnings: [], error: undefined });
    expect(asked).toEqual(['partNumber=3']);
    await expectStored(file, data);
  });

  it('stays also where credentials expire', async () => {
    const data = randomBytes(SIZE);
    const file = fileOf(data);
    await using proxy = await startS3Proxy(server().endpoint, async (asked) => {
      if (!isPart(asked, 3)) return 'pass';
      await vi.waitFor(async () => expect(await unfinished()).toMatchObject([{ parts: [1, 2] }]), 30_000);
      // The answers to the other parts are on their way.
      await setTimeout(500);
      return { status: 400, code: 'ExpiredToken' };
    });
    const { error, warnings } = await send(file, { endpoint: proxy.endpoint });
    expect(error).toMatchObject({ code: 'TSB_CREDENTIALS' });
    expect(warnings).toHaveLength(1);
    expect((await send(file)).resumed).toBe(2 * PART);
    await expectStored(file, data);
  });

  it('is taken away when the server refuses a part for good', async () => {
    const file = fileOf(randomBytes(SIZE));
    await using proxy = await startS3Proxy(server().endpoint, (asked) =>
      isPart(asked, 3) ? { status: 403, code: 'AccessDenied' } : 'pass',
    );
    const { error, warnings } = await send(file, { endpoint: proxy.endpoint });
    expect(error).toMatchObject({ code: 'TSB_ACCESS_DENIED' });
    expect(warnings).toEqual([]);
    expect(await unfinished()).toEqual([]);
  });

  it.each([
    ['a part of it was damaged', (data: Buffer) => data, true],
    ['the file was changed', () => randomBytes(SIZE), false],
    ['the file is shorter now', (data: Buffer) => data.subarray(0, 2 * PART - 1), false],
  ])('begins anew when %s', async (_, change, isDamaged) => {
    const data = randomBytes(SIZE);
    await interrupt(fileOf(data));
    const [former] = await unfinished();
    if (!former) throw new Error('nothing is left');
    const { Key, UploadId } = former;
    const part = { Bucket: server().bucket, Key, UploadId, PartNumber: 2, Body: randomBytes(PART) };
    if (isDamaged) await client.send(new UploadPartCommand(part));
    const now = change(data);
    const file = fileOf(now);
    expect(await send(file)).toEqual({ resumed: 0, warnings: [], error: undefined });
    await expectStored(file, now);
  });

  it('has the right checksum in the metadata in the end, though it was begun for a file with the same beginning', async () => {
    const data = randomBytes(SIZE);
    await interrupt(fileOf(data));
    const now = Buffer.concat([data.subarray(0, 2 * PART), Buffer.from('!')]);
    const file = fileOf(now);
    expect((await send(file)).error).toBeUndefined();
    await expectStored(file, now);
  });

  it('is chosen among several: the others, and one of which nothing has arrived, are taken away', async () => {
    const data = randomBytes(SIZE);
    const file = fileOf(data);
    await interrupt(file);
    const key = { Bucket: server().bucket, Key: `${place}/${file.name}` };
    await client.send(new CreateMultipartUploadCommand(key));
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(key));
    await client.send(new UploadPartCommand({ ...key, UploadId, PartNumber: 1, Body: randomBytes(PART) }));
    expect((await send(file)).resumed).toBe(2 * PART);
    await expectStored(file, data);
  });

  it.each([
    ['the uploads', 403, (url: string) => url.includes('uploads') && !url.includes('uploadId')],
    ['the uploads', 501, (url: string) => url.includes('uploads') && !url.includes('uploadId')],
    ['the parts', 403, (url: string) => url.includes('uploadId')],
  ])('begins anew where the server refuses to list %s: %i', async (what, status, isRefused) => {
    const data = randomBytes(SIZE);
    const file = fileOf(data);
    await interrupt(file);
    const fate = ({ method, url }: S3Asked): S3Fate =>
      method === 'GET' && isRefused(url) ? { status, code: 'AccessDenied' } : 'pass';
    await using proxy = await startS3Proxy(server().endpoint, fate);
    expect(await send(file, { endpoint: proxy.endpoint })).toMatchObject({ resumed: 0, error: undefined });
    // Uploads that cannot be listed cannot be found either.
    expect(await unfinished()).toHaveLength(what === 'the uploads' ? 1 : 0);
    for (const { Key, UploadId } of await unfinished())
      server().s3cmd(['abortmp', `s3://${server().bucket}/${Key}`, UploadId]);
    await expectStored(file, data);
  });

  it('leaves nothing where no later run could find it', async () => {
    const fate = ({ method, url }: S3Asked): S3Fate =>
      method === 'GET' && url.includes('uploads') ? { status: 403, code: 'AccessDenied' } : 'pass';
    const { error, warnings } = await interrupt(fileOf(randomBytes(SIZE)), fate);
    expect(error).toMatchObject({ name: 'AbortError' });
    expect(warnings).toEqual([]);
    expect(await unfinished()).toEqual([]);
  });

  it('is fine when another publisher of the same file completes it first', async () => {
    const data = randomBytes(SIZE);
    const file = fileOf(data);
    const Bucket = server().bucket;
    await using proxy = await startS3Proxy(server().endpoint, async ({ method, url }) => {
      if (method !== 'POST' || !url.includes('uploadId')) return 'pass';
      const [{ Key, UploadId } = { Key: '', UploadId: '' }] = await unfinished();
      const { Parts } = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
      const MultipartUpload = { Parts: Parts?.map(({ PartNumber, ETag }) => ({ PartNumber, ETag })) };
      await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
      return { status: 404, code: 'NoSuchUpload' };
    });
    expect((await send(file, { endpoint: proxy.endpoint })).error).toBeUndefined();
    await expectStored(file, data);
  });
});
