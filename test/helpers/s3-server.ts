import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest';
import { run } from './disk.js';
import { scratchFolder } from './scratch-folder.js';

/** A server that speaks S3, OpenStack Swift, with a bucket that everybody may read. */
export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly bucket: string;
  /** Where everybody finds what is in the bucket. */
  readonly publicUrl: string;
  /** The AWS environment of its owner. */
  readonly env: Readonly<Record<string, string>>;
  /** What s3cmd, a client of other make, says and does. */
  s3cmd(args: readonly string[]): string;
}

/** Starts one on the loopback, empty, gone when it is disposed of. */
export async function startS3Server(): Promise<S3Server> {
  const folder = await scratchFolder();
  const script = join(import.meta.dirname, 'swift-server.py');
  // Debian's own Python, which has Debian's modules.
  const words = ['/usr/bin/python3', [script, join(folder.path, 'swift')]] as const;
  const server = spawn(...words, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(server, 'close');
  const [first] = (await Promise.race([
    once(server.stdout, 'data'),
    ended.then(() => Promise.reject(new Error('Swift did not start'))),
  ])) as [Buffer];
  const port = Number(first.toString());
  const bucket = 'templates';
  const config = join(folder.path, 's3cmd.conf');
  const host = `127.0.0.1:${port}`;
  writeFileSync(
    config,
    `[default]\naccess_key = test:writer\nsecret_key = secret\nhost_base = ${host}\nhost_bucket = ${host}\nuse_https = False\n`,
  );
  const s3cmd = (args: readonly string[]): string => run('s3cmd', ['-c', config, '--no-progress', ...args]);
  s3cmd(['mb', '--acl-public', `s3://${bucket}`]);
  return {
    endpoint: `http://${host}`,
    bucket,
    publicUrl: `http://${host}/v1/AUTH_test/${bucket}`,
    env: {
      AWS_ACCESS_KEY_ID: 'test:writer',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
    s3cmd,
    async [Symbol.asyncDispose]() {
      server.stdin.end();
      await ended;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A server for all tests of a file, which have the environment of its owner. */
export function useS3Server(): () => S3Server {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(() => {
    for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value);
  });
  afterEach(() => void vi.unstubAllEnvs());
  return () => server;
}
