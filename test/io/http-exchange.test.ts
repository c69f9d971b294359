import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { newCounters } from '../../src/io/counters.js';
import { openHttpClient } from '../../src/io/http-client.js';
import { startChild } from '../helpers/child-process.js';
import { startClosingServer } from '../helpers/closing-server.js';
import { startTestServer } from '../helpers/http-server.js';

const MiB = 1024 * 1024;
const DATA = randomBytes(5 * MiB);

describe('exchange', () => {
  it('is needed: undici itself dies of a paused answer whose connection is closed', async () => {
    await using server = await startClosingServer(DATA);
    const { status, stderr } = await startChild('paused-answer-child', [server.url]).ended;
    expect([status, stderr]).toEqual([1, expect.stringContaining('AssertionError')]);
  });

  it.each(['close', 'reset'] as const)('keeps what nobody has taken yet through a %s', async (how) => {
    await using server = await startClosingServer(DATA, how);
    await using client = await openHttpClient();
    const response = await client.request(new URL(server.url));
    await sleep(100);
    const chunks: Uint8Array[] = [];
    const received = response.receive((chunk) => chunks.push(chunk));
    if (how === 'close') await received;
    // A reset may overtake the data: then it is an error and no end.
    else await received.catch((error: unknown) => expect(error).toMatchObject({ code: 'TSB_NETWORK' }));
    const got = Buffer.concat(chunks);
    expect(DATA.subarray(0, got.length).equals(got)).toBe(true);
    if (how === 'close') expect(got).toHaveLength(DATA.length);
  });

  it('keeps a bounded part of what nobody takes, and says so', async () => {
    await using server = await startTestServer({ '/a': { data: Buffer.alloc(40 * MiB) } });
    const counters = newCounters();
    await using client = await openHttpClient({ counters });
    const response = await client.request(new URL(`${server.url}/a`));
    await sleep(300);
    await expect(response.receive(() => undefined)).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      details: { retryable: true },
    });
    expect(counters.bytesFetched).toBeLessThan(17 * MiB);
  });

  it('holds the server back while a piece is being taken, without keeping more than that', async () => {
    await using server = await startTestServer({ '/a': { data: Buffer.alloc(24 * MiB) } });
    await using client = await openHttpClient();
    const response = await client.request(new URL(`${server.url}/a`));
    let bytes = 0;
    let largest = 0;
    await response.receive((chunk) => {
      // Taking is slow: the whole program waits.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      bytes += chunk.length;
      largest = Math.max(largest, chunk.length);
    });
    expect(bytes).toBe(24 * MiB);
    expect(largest).toBeLessThan(2 * MiB);
  });

  it('throws what the taker throws, and sends no more', async () => {
    await using server = await startClosingServer(DATA);
    await using client = await openHttpClient();
    const response = await client.request(new URL(server.url));
    let calls = 0;
    const failing = response.receive(() => {
      calls += 1;
      throw new RangeError('enough');
    });
    await expect(failing).rejects.toThrow(RangeError);
    await sleep(50);
    expect(calls).toBe(1);
  });

  it('counts requests, redirects among them, and the bytes of bodies', async () => {
    await using server = await startTestServer({ '/b': { data: DATA.subarray(0, 1000) } });
    server.fault = ({ path }) =>
      path === '/a' ? { status: 302, headers: { location: '/b' }, body: Buffer.alloc(7) } : undefined;
    const counters = newCounters();
    await using client = await openHttpClient({ counters });
    await (await client.request(new URL(`${server.url}/a`))).receive(() => undefined);
    expect(counters).toMatchObject({ httpRequests: 2, bytesFetched: 1007 });
  });

  it('uses a connection again after a short body that was given up', async () => {
    await using server = await startTestServer({ '/a': { data: DATA.subarray(0, 1000) } });
    await using client = await openHttpClient({ connections: 1 });
    const ports = new Set<number | undefined>();
    for (let round = 0; round < 3; round += 1) {
      (await client.request(new URL(`${server.url}/a`))).discard();
      await sleep(5);
      ports.add(server.requests.at(-1)?.port);
    }
    expect(ports.size).toBe(1);
  });

  it('makes no more connections at once than it may', async () => {
    await using server = await startTestServer({ '/a': { data: DATA.subarray(0, 50_000) } });
    server.fault = () => ({ slowMs: 5 });
    await using client = await openHttpClient({ connections: 2 });
    const get = async (): Promise<void> =>
      (await client.request(new URL(`${server.url}/a`))).receive(() => undefined);
    await Promise.all(Array.from({ length: 9 }, get));
    expect(new Set(server.requests.map(({ port }) => port)).size).toBe(2);
  });

  it('can be broken off before there is a connection', async () => {
    await using server = await startTestServer({ '/a': { data: DATA.subarray(0, 10) } });
    server.fault = () => ({ hangAfter: -1 });
    await using client = await openHttpClient({ connections: 1 });
    const first = client.request(new URL(`${server.url}/a`)).catch(() => undefined);
    const stop = new AbortController();
    const second = client.request(new URL(`${server.url}/a`), { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    await client[Symbol.asyncDispose]();
    await first;
  });
});
