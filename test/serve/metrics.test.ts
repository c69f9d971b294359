import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { newCounters } from '../../src/io/counters.js';
import { formatMetrics, startMetrics } from '../../src/serve/metrics.js';
import type { ServerState } from '../../src/serve/stats.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const counters = newCounters();
const state: ServerState = {
  counters,
  sources: [{ name: 'a"b\\c\nd', size: 512, format: 'raw' }],
  uptimeMs: 1500,
};

/** Samples by name with labels; every one must have been announced by HELP and TYPE lines before it. */
function parse(text: string): Map<string, number> {
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.trimEnd().split('\n')) {
    const type = /^# TYPE (\w+) (counter|gauge)$/.exec(line);
    if (type) types.set(type[1]!, type[2]!);
    else if (!/^# HELP \w+ .+$/.test(line)) {
      const sample = /^(\w+)(\{.*\})? ([0-9.e+]+)$/.exec(line);
      expect(sample, line).not.toBeNull();
      expect(types.has(sample![1]!), line).toBe(true);
      samples.set(`${sample![1]}${sample![2] ?? ''}`, Number(sample![3]));
    }
  }
  return samples;
}

describe('formatMetrics', () => {
  it('announces and tells every counter', () => {
    const samples = parse(
      formatMetrics({ ...state, counters: { ...counters, requests: 7, bytesServed: 1e15 } }),
    );
    expect(samples.get('tsbuilder_nbd_requests_total')).toBe(7);
    expect(samples.get('tsbuilder_nbd_served_bytes_total')).toBe(1e15);
    expect(samples.get('tsbuilder_uptime_seconds')).toBe(1.5);
    expect(samples.get('tsbuilder_export_size_bytes{export="a\\"b\\\\c\\nd",format="raw"}')).toBe(512);
    expect(samples.size).toBe(Object.keys(counters).length + 2);
  });
});

describe('startMetrics', () => {
  it('answers with the figures of the moment', async () => {
    await using metrics = await startMetrics(LOOPBACK, () => state);
    expect(metrics.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    counters.requests = 41;
    await fetch(metrics.url);
    counters.requests = 42;
    const response = await fetch(`${metrics.url}?x=1`);
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(parse(await response.text()).get('tsbuilder_nbd_requests_total')).toBe(42);
    const head = await fetch(metrics.url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('has nothing else to say', async () => {
    await using metrics = await startMetrics(LOOPBACK, () => state);
    expect((await fetch(new URL('/', metrics.url))).status).toBe(404);
    expect((await fetch(`${metrics.url}/more`)).status).toBe(404);
    const post = await fetch(metrics.url, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('takes few clients at a time, and ends them all', async () => {
    const metrics = await startMetrics(LOOPBACK, () => state);
    const { port } = new URL(metrics.url);
    const sockets = Array.from({ length: 20 }, () => connect({ host: '127.0.0.1', port: Number(port) }));
    const closed = sockets.map(
      (socket) =>
        new Promise<void>((resolve) => socket.on('error', () => undefined).once('close', () => resolve())),
    );
    for (const socket of sockets) socket.resume();
    await Promise.any(closed);
    expect(sockets.filter((socket) => !socket.destroyed).length).toBeGreaterThan(0);
    await metrics[Symbol.asyncDispose]();
    await Promise.all(closed);
    await expect(fetch(metrics.url)).rejects.toThrow();
  });

  it('says when it cannot listen', async () => {
    await using metrics = await startMetrics(LOOPBACK, () => state);
    const port = Number(new URL(metrics.url).port);
    await expect(startMetrics({ host: '127.0.0.1', port }, () => state)).rejects.toMatchObject({
      code: 'TSB_LISTEN',
      message: expect.stringContaining('another program') as string,
    });
  });
});
