import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateMultipartUploadCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openTarget } from '../../../../src/publish/target/open-target.js';
import type { PublishTarget, PublishedFile } from '../../../../src/publish/target/publish-target.js';
import { sha512 } from '../../../helpers/e2e-template.js';
import {
  type ServedPlace,
  type TinyRepository,
  publishesStepByStep,
  tinyRepository,
} from '../../../helpers/publish-target.js';
import { startS3Proxy } from '../../../helpers/s3-proxy.js';
import { useS3Server } from '../../../helpers/s3-server.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const server = useS3Server();
let repository: TinyRepository;
beforeEach(async () => {
  repository = await tinyRepository();
});
afterEach(async () => {
  await repository[Symbol.asyncDispose]();
});

const open = (folder: string, endpoint = server().endpoint): Promise<PublishTarget> =>
  openTarget(repository.dir, `s3://${server().bucket}/${folder}`, { endpoint });

/** A folder of the bucket as s3cmd sees it. */
function servedBucket(folder: string): ServedPlace {
  const url = `s3://${server().bucket}/${folder}/`;
  const local = join(repository.path, 'object');
  return {
    names: () =>
      [
        ...server()
          .s3cmd(['ls', url])
          .matchAll(/s3:\/\/\S+\/(\S+)$/gm),
      ].map((match) => match[1] ?? ''),
    read(name) {
      rmSync(local, { force: true });
      server().s3cmd(['get', `${url}${name}`, local]);
      return readFileSync(local);
    },
    write(name, text) {
      writeFileSync(local, text);
      server().s3cmd(['put', local, `${url}${name}`]);
    },
  };
}

/** A file that is sent in three parts. */
function largeFile(name = 'large-x86_64.r1.xz'): PublishedFile & { data: Buffer } {
  const data = randomBytes(33 * 1024 ** 2 + 1);
  const path = join(repository.path, name);
  writeFileSync(path, data);
  return { name, path, data, size: data.length, sha512: sha512(data) };
}

const unfinished = (): string => server().s3cmd(['multipart', `s3://${server().bucket}`]);

describe('an S3 target', () => {
  it('gets content, then the index, and keeps what the index before names', async () => {
    await publishesStepByStep(repository, await open('a/b'), servedBucket('a/b'));
  });

  it('says what objects are and how long they hold', async () => {
    await repository.publish(await open('typed'));
    const told = async (name: string): Promise<(string | null)[]> => {
      const { headers } = await fetch(`${server().publicUrl}/typed/${name}`, { method: 'HEAD' });
      return [headers.get('content-type'), headers.get('cache-control')];
    };
    expect(await told('tiny-x86_64.r1.xz')).toEqual([
      'application/x-xz',
      expect.stringContaining('immutable'),
    ]);
    expect(await told('index.html')).toEqual(['text/html; charset=utf-8', 'no-cache']);
    expect(await told('index.asc')).toEqual(['text/plain; charset=utf-8', 'no-cache']);
  });

  it('gets a large file in parts, once', async () => {
    const target = await open('large');
    const file = largeFile();
    let sent = 0;
    await target.send([file], { onProgress: (bytes) => (sent += bytes) });
    expect(sent).toBe(file.size);
    expect(servedBucket('large').read(file.name).equals(file.data)).toBe(true);
    expect(await target.missing([file], {})).toEqual([]);
    expect(await target.missing([{ ...file, sha512: sha512(Buffer.from('other')) }], {})).toHaveLength(1);
  });

  it('has nothing of a file that changes while it is uploaded', async () => {
    const changed = { ...largeFile(), sha512: '0'.repeat(128) };
    await expect((await open('broken')).send([changed], {})).rejects.toMatchObject({
      code: 'TSB_CONTENT_CHANGED',
    });
    expect(unfinished()).not.toContain('broken/');
    expect(servedBucket('broken').names()).toEqual([]);
  });

  it('is freed of what a publisher that was killed has left of its uploads', async () => {
    const { endpoint, bucket } = server();
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
    for (const name of ['killed/tiny-x86_64.r9.xz', 'killed/other.iso'])
      await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: name }));
    expect(unfinished()).toContain('killed/tiny-x86_64.r9.xz');
    await repository.publish(await open('killed'));
    expect(unfinished()).not.toContain('killed/tiny-x86_64.r9.xz');
    expect(unfinished()).toContain('killed/other.iso');
  });

  it('is tried again when the server fails for a moment', async () => {
    await using proxy = await faultyProxy(server().endpoint);
    const summary = await repository.publish(await open('faulty', proxy.endpoint));
    expect(summary.sent).toHaveLength(5);
    expect(proxy.faults()).toBeGreaterThan(2);
    expect(servedBucket('faulty').names()).toHaveLength(5);
  });
});

describe('an S3 target that cannot be used', () => {
  const failure = async (
    env: Record<string, string | undefined>,
    to = `s3://${server().bucket}/x`,
    endpoint?: string,
  ) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    return repository
      .publish(await openTarget(repository.dir, to, { endpoint: endpoint ?? server().endpoint }))
      .then(() => 'published')
      .catch((error: unknown) => error);
  };

  it('for want of credentials', async () => {
    const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined, HOME: repository.path };
    expect(await failure(none)).toMatchObject({ code: 'TSB_CREDENTIALS', exit: 2 });
  });

  it('because the key is wrong', async () => {
    expect(await failure({ AWS_SECRET_ACCESS_KEY: 'wrong' })).toMatchObject({ code: 'TSB_CREDENTIALS' });
    expect(await failure({ AWS_ACCESS_KEY_ID: 'test:nobody' })).toMatchObject({ code: 'TSB_CREDENTIALS' });
  });

  it('because access is denied', async () => {
    const stranger = { AWS_ACCESS_KEY_ID: 'test:stranger' };
    expect(await failure(stranger)).toMatchObject({ code: 'TSB_ACCESS_DENIED', exit: 6 });
  });

  it('because there is no such bucket', async () => {
    expect(await failure({}, 's3://no-such-bucket/x')).toMatchObject({ code: 'TSB_NOT_FOUND', exit: 3 });
  });

  it('because nobody listens there', async () => {
    const found = await failure({}, `s3://${server().bucket}`, 'http://127.0.0.1:9');
    expect(found).toMatchObject({ code: 'TSB_NETWORK', exit: 6 });
    expect(String(found)).toContain('refused');
  });

  it('because an option of it is given for another target', async () => {
    const out = join(repository.path, 'out');
    await expect(openTarget(repository.dir, out, { region: 'x' })).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
    await expect(openTarget(repository.dir, 's3://bucket', { endpoint: 'x' })).rejects.toMatchObject({
      code: 'TSB_USAGE',
    });
    expect(existsSync(out)).toBe(false);
  });
});

/** Passes on to `endpoint` two requests of three; of the others it answers some with 503, and breaks some off. */
async function faultyProxy(endpoint: string) {
  let count = 0;
  let faults = 0;
  const proxy = await startS3Proxy(endpoint, () => {
    count += 1;
    if (count % 3 !== 0) return 'pass';
    faults += 1;
    return count % 2 === 0 ? 'drop' : { status: 503 };
  });
  return { ...proxy, faults: () => faults };
}
