import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Desk, failureOf, newDesk, resultOf } from '../helpers/e2e.js';
import { type TestServer, startTestServer } from '../helpers/http-server.js';
import { type Credentials, type TestCa, makeTestCa, selfSigned } from '../helpers/test-ca.js';

vi.setConfig({ testTimeout: 60_000 });

const FILES = { '/disk.img': { data: Buffer.alloc(100_000, 1) } };

let folder: string;
let ca: TestCa;
let good: Credentials;
let desk: Desk;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuilder-tls-'));
  ca = makeTestCa(folder);
  good = ca.issue('good', { names: 'DNS:localhost' });
  desk = await newDesk();
});
afterAll(async () => {
  await desk[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** `tsbuilder info` of a file on `server` by a user who trusts the authority. */
const info = (url: string): ReturnType<Desk['run']> =>
  desk.run(['info', url, '--json'], { env: { NODE_EXTRA_CA_CERTS: ca.file } });

async function failure(server: TestServer): Promise<ReturnType<typeof failureOf>> {
  const found = failureOf(await info(`${server.url}/disk.img`));
  // One attempt: a certificate does not get better.
  expect([server.connections, server.requests.length]).toEqual([1, 0]);
  return found;
}

it('trusts an authority named by NODE_EXTRA_CA_CERTS, and none of one’s own otherwise', async () => {
  await using server = await startTestServer(FILES, good);
  expect(resultOf(await info(`${server.url}/disk.img`))).toMatchObject({ format: 'raw', size: 100_000 });
  const untrusted = await desk.run(['info', `${server.url}/disk.img`, '--json']);
  expect(failureOf(untrusted)).toMatchObject({
    summary: '6 TSB_NETWORK',
    message: expect.stringContaining('not signed by an authority that is trusted here') as string,
    hint: expect.stringContaining('NODE_EXTRA_CA_CERTS') as string,
  });
});

it.each([
  [
    'signed by itself',
    () => selfSigned(folder, 'self'),
    /not signed by an authority that is trusted/,
    /NODE_EXTRA_CA_CERTS/,
  ],
  [
    'expired',
    () => ca.issue('expired', { names: 'DNS:localhost', days: -1 }),
    /certificate of the server has expired/,
    /clock/,
  ],
  [
    'for another host',
    () => ca.issue('other', { names: 'DNS:other.example' }),
    /is for another host name/,
    /name that is in the certificate/,
  ],
])('refuses a certificate %s', async (_, make, message, hint) => {
  await using server = await startTestServer(FILES, make());
  expect(await failure(server)).toEqual({
    summary: '6 TSB_NETWORK',
    message: expect.stringMatching(message) as string,
    hint: expect.stringMatching(hint) as string,
  });
});

it('says that a server does not speak https', async () => {
  await using server = await startTestServer(FILES);
  const found = failureOf(await info(`${server.url.replace('http:', 'https:')}/disk.img`));
  expect(found).toMatchObject({
    summary: '6 TSB_NETWORK',
    message: expect.stringContaining('no secure connection can be made') as string,
    hint: expect.stringContaining('speaks https') as string,
  });
  expect(server.connections).toBe(1);
});

it('does not follow a redirect to http', async () => {
  await using plain = await startTestServer(FILES);
  await using server = await startTestServer({}, good);
  server.fault = () => ({ status: 302, headers: { location: `${plain.url}/disk.img` } });
  expect(failureOf(await info(`${server.url}/disk.img`))).toMatchObject({
    summary: '6 TSB_HTTP_STATUS',
    message: expect.stringContaining('from https to unprotected http') as string,
  });
  expect(plain.connections).toBe(0);
});

it('sends credentials to their own server only', async () => {
  await using other = await startTestServer(FILES, good);
  await using server = await startTestServer({}, good);
  server.fault = ({ path }) => ({
    status: 302,
    headers: { location: path === '/disk.img' ? '/here' : `${other.url}/disk.img` },
  });
  const result = await info(`${server.url.replace('//', '//user:secret@')}/disk.img`);
  expect(resultOf(result)).toMatchObject({ size: 100_000 });
  const sent = ({ requests }: TestServer): unknown[] => [
    ...new Set(requests.map(({ headers }) => headers.authorization)),
  ];
  expect(sent(server)).toEqual([`Basic ${Buffer.from('user:secret').toString('base64')}`]);
  expect(sent(other)).toEqual([undefined]);
  expect(result.stdout.toString() + result.stderr).not.toContain('secret');
});
