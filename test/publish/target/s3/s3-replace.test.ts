import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentProgress } from '../../../../src/progress.js';
import { openTarget } from '../../../../src/publish/target/open-target.js';
import type { PublishSummary } from '../../../../src/publish/target/publish-repository.js';
import { type TinyRepository, tinyRepository } from '../../../helpers/publish-target.js';
import { type S3Asked, type S3Fate, startS3Proxy } from '../../../helpers/s3-proxy.js';
import { useS3Server } from '../../../helpers/s3-server.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const server = useS3Server();
let client: S3Client;
let repository: TinyRepository;
let count = 0;
let place: string;
beforeEach(async () => {
  repository = await tinyRepository();
  client = new S3Client({ endpoint: server().endpoint, region: 'us-east-1', forcePathStyle: true });
  place = `place-${(count += 1)}`;
});
afterEach(async () => {
  await repository[Symbol.asyncDispose]();
});

interface Published {
  readonly summary: Partial<PublishSummary>;
  readonly error: unknown;
  readonly warnings: string[];
}

async function publish(endpoint = server().endpoint): Promise<Published> {
  const warnings: string[] = [];
  const progress = { ...silentProgress, warn: (message: string) => void warnings.push(message) };
  const target = await openTarget(repository.dir, `s3://${server().bucket}/${place}`, { endpoint });
  return repository.publish(target, { progress, page: false, force: true }).then(
    (summary) => ({ summary, error: undefined, warnings }),
    (error: unknown) => ({ summary: {}, error, warnings }),
  );
}

const indexKey = () => ({ Bucket: server().bucket, Key: `${place}/index.asc` });
const isIndexPut = ({ method, url }: S3Asked): boolean => method === 'PUT' && url.includes('/index.asc');

async function storedIndex(): Promise<string> {
  return (await fetch(`${server().publicUrl}/${place}/index.asc`)).text();
}

const ownIndex = (): string => readFileSync(join(repository.dir, 'index.asc'), 'utf8');

/** Lets somebody else put an index there. */
async function putOther(): Promise<void> {
  await client.send(new PutObjectCommand({ ...indexKey(), Body: 'of another publisher' }));
}

/**
 * What a server does that knows conditional writes, which Swift does not: compares the object that is there with the condition of the
 * request, and stores what came when it holds.
 */
async function conditionally(asked: S3Asked): Promise<S3Fate> {
  const { headers } = asked;
  const etag = await client.send(new HeadObjectCommand(indexKey())).then(
    ({ ETag }) => ETag,
    () => undefined,
  );
  if (headers['if-none-match'] === '*' && etag !== undefined)
    return { status: 412, code: 'PreconditionFailed' };
  const expected = headers['if-match'];
  if (expected !== undefined && etag === undefined) return { status: 404, code: 'NoSuchKey' };
  if (expected !== undefined && expected !== etag) return { status: 412, code: 'PreconditionFailed' };
  if (expected === undefined && headers['if-none-match'] === undefined) return 'pass';
  const object: PutObjectCommandInput = {
    ...{ ...indexKey(), Body: await asked.body(), ContentType: headers['content-type'] },
    Metadata: { sha512: String(headers['x-amz-meta-sha512']) },
  };
  await client.send(new PutObjectCommand(object));
  return { status: 200 };
}

/** A server that knows conditional writes; `before` is done when the index arrives, before it is looked at. */
const conditionalServer = (before: () => Promise<void> = () => Promise.resolve()) =>
  startS3Proxy(server().endpoint, async (asked) => {
    if (!isIndexPut(asked)) return 'pass';
    await before();
    return conditionally(asked);
  });

describe('the index in a bucket whose server knows conditional writes', () => {
  it('is put where there is none, and in place of the one that was read', async () => {
    await using proxy = await conditionalServer();
    expect(await publish(proxy.endpoint)).toMatchObject({ error: undefined, warnings: [] });
    await repository.add('y');
    const { summary, warnings } = await publish(proxy.endpoint);
    expect(summary.sent).toContain('index.asc');
    expect(warnings).toEqual([]);
    expect(await storedIndex()).toBe(ownIndex());
    expect((await publish(proxy.endpoint)).summary.sent).toEqual([]);
  });

  it('does not replace one that comes in the same moment, where there was none', async () => {
    await using proxy = await conditionalServer(putOther);
    expect((await publish(proxy.endpoint)).error).toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
    expect(await storedIndex()).toBe('of another publisher');
  });

  it('does not replace one that comes in the same moment, nor stands in for one that was taken away', async () => {
    await publish();
    await repository.add('y');
    await using racing = await conditionalServer(putOther);
    expect((await publish(racing.endpoint)).error).toMatchObject({
      code: 'TSB_CONTENT_CHANGED',
      message: expect.stringContaining('another publisher') as unknown,
    });
    expect(await storedIndex()).toBe('of another publisher');
    await using removing = await conditionalServer(async () => {
      await client.send(new DeleteObjectCommand(indexKey()));
    });
    expect((await publish(removing.endpoint)).error).toMatchObject({ code: 'TSB_CONTENT_CHANGED' });
  });

  it('is there when the answer was lost, and the condition does not hold any more', async () => {
    let isLost = false;
    await using proxy = await startS3Proxy(server().endpoint, async (asked) => {
      if (!isIndexPut(asked)) return 'pass';
      const fate = await conditionally(asked);
      if (isLost) return fate;
      isLost = true;
      return 'drop';
    });
    expect(await publish(proxy.endpoint)).toMatchObject({ error: undefined, warnings: [] });
    expect(isLost).toBe(true);
    expect(await storedIndex()).toBe(ownIndex());
  });
});

describe('the index in a bucket whose server knows no conditional writes', () => {
  it('is put without a condition, which is said: 501, as Swift answers', async () => {
    const { error, warnings } = await publish();
    expect(error).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('no conditional writes (HTTP status 501)')]);
    expect(await storedIndex()).toBe(ownIndex());
    expect(await publish()).toMatchObject({ summary: { sent: [] }, warnings: [] });
  });

  it('is put without a condition, which is said: 400', async () => {
    await using proxy = await startS3Proxy(server().endpoint, (asked) =>
      isIndexPut(asked) && asked.headers['if-none-match'] !== undefined
        ? { status: 400, code: 'InvalidArgument' }
        : 'pass',
    );
    const { error, warnings } = await publish(proxy.endpoint);
    expect(error).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('HTTP status 400')]);
    expect(await storedIndex()).toBe(ownIndex());
  });

  it('is not put without a condition because the credentials expire then', async () => {
    await using proxy = await startS3Proxy(server().endpoint, (asked) =>
      isIndexPut(asked) ? { status: 400, code: 'ExpiredToken' } : 'pass',
    );
    expect(await publish(proxy.endpoint)).toMatchObject({ error: { code: 'TSB_CREDENTIALS' }, warnings: [] });
  });
});
