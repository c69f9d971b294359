import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, ListPartsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { run } from '../helpers/disk.js';
import { type Desk, type Outcome, failureOf, inTurns, litter, newDesk, resultOf } from '../helpers/e2e.js';
import { type Gnupg, newGnupg } from '../helpers/gnupg.js';
import { startS3Proxy } from '../helpers/s3-proxy.js';
import { type S3Server, startS3Server } from '../helpers/s3-server.js';
import { SMALL_DEBIAN, fsckOn, makeSystemDisk } from '../helpers/system-disk.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let desk: Desk;
let gnupg: Gnupg;
let server: S3Server;
let disk: string;
let fingerprint: string;
beforeAll(async () => {
  [desk, gnupg, server] = await Promise.all([newDesk(), newGnupg(), startS3Server()]);
  disk = makeSystemDisk(SMALL_DEBIAN);
  ({ fingerprint } = resultOf(await desk.run(['repo', 'init', repo(), '--json'])) as { fingerprint: string });
  resultOf(await desk.run(['repo', 'add', repo(), disk, 'small', '--json']));
});
afterAll(async () => {
  await Promise.all([desk, gnupg, server].map((one) => one[Symbol.asyncDispose]()));
});

const repo = (): string => desk.file('repo');
const words = (folder: string): string[] => [
  ...['repo', 'publish', repo(), `s3://${server.bucket}/${folder}`],
  ...['--endpoint', server.endpoint, '--url', `${server.publicUrl}/${folder}`],
];

it('what is published in a bucket is what tsbuilder builds from, and virt-builder lists', async () => {
  const outcome = await desk.run([...words('all'), '--json'], { env: server.env });
  expect(resultOf(outcome)).toMatchObject({ templates: 1, fingerprint, unchanged: 0 });
  // Nothing but our own lines: no notices of the client library.
  expect(outcome.stderr).not.toContain('AWS');
  const page = await (await fetch(`${server.publicUrl}/all/index.html`)).text();
  expect(page).toContain(`--source ${server.publicUrl}/all/index.asc`);

  writeFileSync(desk.file('key.asc'), await (await fetch(`${server.publicUrl}/all/key.asc`)).text());
  const source = ['--source', `${server.publicUrl}/all/index.asc`, '--key', desk.file('key.asc')];
  const built = desk.file('built.img');
  resultOf(await desk.run(['small', ...source, '--fingerprint', fingerprint, '-o', built, '--json']));
  expect(() => fsckOn(built, 1)).not.toThrow();
  rmSync(built);

  const copy = desk.file('copy');
  mkdirSync(copy);
  server.s3cmd(['sync', `s3://${server.bucket}/all/`, `${copy}/`]);
  gnupg.gpg(['--import', join(copy, 'key.asc')]);
  const folder = mkdtempSync(join(tmpdir(), 'tsb-vb-'));
  const env = [`GNUPGHOME=${gnupg.home}`, `XDG_CONFIG_HOME=${folder}`, `VIRT_BUILDER_DIRS=${folder}`];
  const list = [
    'virt-builder',
    '--list',
    '--list-format',
    'json',
    '--fingerprint',
    fingerprint,
    '--no-cache',
  ];
  const said = run('env', [...env, ...list, '--source', `file://${copy}/index.asc`]);
  expect((JSON.parse(said) as { templates: object[] }).templates).toMatchObject([{ 'os-version': 'small' }]);
  rmSync(folder, { recursive: true });
  rmSync(copy, { recursive: true });
});

/** A repository, and a folder that it was published in before it was changed. */
async function changedRepository(): Promise<{ from: string; site: string }> {
  const [from, site] = [desk.file('changed-repo'), desk.file('site')];
  cpSync(repo(), from, { recursive: true });
  resultOf(await desk.run(['repo', 'publish', from, site, '--json']));
  const other = makeSystemDisk({ ...SMALL_DEBIAN, 'etc/hostname': 'other\n' });
  resultOf(await desk.run(['repo', 'add', from, other, 'small', '--json']));
  return { from, site };
}

it('a publisher that is killed at any step leaves an index that holds, and the next one sweeps', async () => {
  const { from, site } = await changedRepository();
  const revisions: string[] = [];
  for (const call of ['rename', 'unlink']) {
    for (let n = 1, going = true; going; n += 1) {
      const to = desk.file(`site-${call}-${n}`);
      cpSync(site, to, { recursive: true });
      const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=SIGKILL:when=${n}`];
      const wrapper = ['strace', '-f', '-qq', '-o', '/dev/null', ...inject];
      // One thread makes all calls: strace counts them for each thread.
      const publish = ['repo', 'publish', from, to, '--json'];
      const outcome = await desk.run(publish, { wrapper, env: { UV_THREADPOOL_SIZE: '1' } });
      going = outcome.status !== 0;
      expect(resultOf(await desk.run(['repo', 'verify', to, '--json']))).toMatchObject({ valid: true });
      gnupg.gpg(['--import', join(to, 'key.asc')]);
      gnupg.gpg(['--verify', join(to, 'index.asc')]);
      revisions.push(/^revision=(.*)$/m.exec(readFileSync(join(to, 'index.asc'), 'utf8'))?.[1] ?? '');
      resultOf(await desk.run(publish));
      expect(readdirSync(to).filter((name) => name.startsWith('.'))).toEqual([]);
      rmSync(to, { recursive: true });
    }
  }
  expect(new Set(revisions)).toEqual(new Set(['1', '2']));
  expect(revisions.length).toBeGreaterThan(5);
  for (const path of [from, site]) rmSync(path, { recursive: true });
});

it('a full disk at any stage leaves an index that holds, and nothing unfinished', async () => {
  const { from, site } = await changedRepository();
  const folder = join(desk.path, 'full');
  const pages = (path: string): number => Math.ceil(readFileSync(path).length / 4096);
  const before = readdirSync(site).reduce((sum, name) => sum + pages(join(site, name)), 1);
  const fresh = pages(join(from, 'small-x86_64.r2.xz'));
  const states = await inTurns(
    [0, fresh, fresh + 2, fresh + 4, fresh + 10].map((extra) => async () => {
      const size = (before + extra) * 4096;
      const mount = `mkdir -p ${folder} && mount -t tmpfs -o size=${size} none ${folder} && cp ${site}/* ${folder} || exit 99`;
      const after = `mkdir ${site}-${extra} && cp -r ${folder}/. ${site}-${extra}`;
      const script = `${mount}; "$@"; status=$?; ${after}; exit $status`;
      const wrapper = ['unshare', '-Urm', 'sh', '-c', script, 'sh'];
      const outcome = await desk.run(['repo', 'publish', from, folder, '--json'], { wrapper });
      const left = `${site}-${extra}`;
      expect(readdirSync(left).filter((name) => name.startsWith('.'))).toEqual([]);
      resultOf(await desk.run(['repo', 'verify', left, '--json']));
      const revision = /^revision=(.*)$/m.exec(readFileSync(join(left, 'index.asc'), 'utf8'))?.[1];
      rmSync(left, { recursive: true });
      return `${outcome.status === 0 ? 'published' : failureOf(outcome).summary} ${revision}`;
    }),
  );
  expect(new Set(states)).toEqual(new Set(['7 TSB_NO_SPACE 1', 'published 2']));
  expect(states.filter((state) => state.endsWith('1')).length).toBeGreaterThan(2);
  for (const path of [from, site, folder]) rmSync(path, { recursive: true });
});

it('a target that is read-only is told as such', async () => {
  const folder = join(desk.path, 'read-only');
  const script = `mkdir -p ${folder} && mount -t tmpfs -o ro none ${folder} || exit 99; "$@"`;
  const wrapper = ['unshare', '-Urm', 'sh', '-c', script, 'sh'];
  for (const to of [folder, join(folder, 'below')]) {
    const outcome = await desk.run(['repo', 'publish', repo(), to, '--json'], { wrapper });
    expect(failureOf(outcome)).toMatchObject({
      summary: '7 TSB_OUTPUT_UNUSABLE',
      message: expect.stringContaining('read-only') as unknown,
    });
  }
});

it('an upload that is killed, and one that is interrupted, leave the index that was there, and are gone on with', async () => {
  resultOf(await desk.run([...words('stopped'), '--json'], { env: server.env }));
  const before = server.s3cmd(['ls', '-r', `s3://${server.bucket}/stopped/`]);
  const noise = desk.file('noise');
  writeFileSync(noise, randomBytes(40 * 1024 ** 2));
  const add = ['repo', 'add', repo(), noise, 'noise', '--arch', 'x86_64', '--preset', '0', '--json'];
  resultOf(await desk.run(add));

  const killed = await publishUntil('SIGKILL');
  expect(killed.signal).toBe('SIGKILL');
  expect(server.s3cmd(['ls', '-r', `s3://${server.bucket}/stopped/`])).toBe(before);

  const interrupted = await publishUntil('SIGINT');
  expect(failureOf(interrupted).summary).toBe('130 TSB_INTERRUPTED');
  expect(interrupted.stderr).toContain('have arrived and stay in the bucket');
  expect(server.s3cmd(['ls', '-r', `s3://${server.bucket}/stopped/`])).toBe(before);
  const left = await litter(desk, ['repo', 'noise', 'key.asc']);
  expect(left.filter((name) => !name.startsWith('sha512/'))).toEqual([]);

  const outcome = await desk.run([...words('stopped'), '--no-page'], { env: server.env });
  expect(outcome.stdout.toString()).toMatch(/\d+ sent \(4\d MiB, 24 MiB of it by an interrupted run\)/);
  expect(server.s3cmd(['multipart', `s3://${server.bucket}`])).not.toContain('noise');
  server.s3cmd(['get', `s3://${server.bucket}/stopped/noise-x86_64.r1.xz`, desk.file('got')]);
  const sent = readFileSync(join(repo(), 'noise-x86_64.r1.xz'));
  expect(readFileSync(desk.file('got')).equals(sent)).toBe(true);
});

/** Publishes by a server that never answers to the second part; ends the publisher when that is on its way and the others are there. */
async function publishUntil(signal: NodeJS.Signals): Promise<Outcome> {
  let isReached = false;
  await using proxy = await startS3Proxy(server.endpoint, ({ method, url }) => {
    if (method !== 'PUT' || !url.includes('partNumber=2&')) return 'pass';
    isReached = true;
    return 'hang';
  });
  const command = ['repo', 'publish', repo(), `s3://${server.bucket}/stopped`, '--endpoint', proxy.endpoint];
  const { child, ended } = desk.start([...command, '--no-page', '--json'], { env: server.env });
  await vi.waitFor(() => expect(isReached).toBe(true), { timeout: 60_000 });
  await untilParts(2);
  child.kill(signal);
  return await ended;
}

/** Waits until so many parts of the upload have arrived. */
async function untilParts(count: number): Promise<void> {
  const credentials = { accessKeyId: 'test:writer', secretAccessKey: 'secret' };
  const { endpoint, bucket: Bucket } = server;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  const list = new ListMultipartUploadsCommand({ Bucket, Prefix: 'stopped/noise' });
  const look = async (): Promise<void> => {
    const { Uploads = [] } = await client.send(list);
    const [{ Key, UploadId } = {}] = Uploads;
    expect(Key).toBeDefined();
    const { Parts } = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    expect(Parts).toHaveLength(count);
  };
  await vi.waitFor(look, { timeout: 60_000, interval: 50 });
}
