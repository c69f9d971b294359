import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type HttpResponse, openHttpClient, redirectTarget } from '../../src/io/http-client.js';
import { parseRetryAfter } from '../../src/io/http-errors.js';
import { withRetries } from '../../src/io/http-retry.js';
import { pinUrl } from '../../src/io/http-pin.js';
import { FAST, startTestServer } from '../helpers/http-server.js';

const DATA = Buffer.from('hello');

async function bodyOf(response: HttpResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  await response.receive((chunk) => chunks.push(chunk));
  return Buffer.concat(chunks).toString();
}

/** A forward proxy that counts what goes through it, by plain requests and by CONNECT. */
async function startProxy(): Promise<
  AsyncDisposable & { port: number; seen: string[]; auth: (string | undefined)[] }
> {
  const seen: string[] = [];
  const auth: (string | undefined)[] = [];
  const proxy = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    auth.push(request.headers['proxy-authorization']);
    response.end('through the proxy');
  });
  proxy.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url}`);
    const [host, port] = (request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: (proxy.address() as AddressInfo).port,
    seen,
    auth,
    async [Symbol.asyncDispose]() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

describe('http client', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('introduces itself and asks for the bytes as they are', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    await using client = await openHttpClient();
    expect(await bodyOf(await client.request(new URL(`${server.url}/a`)))).toBe('hello');
    expect(server.requests[0]?.headers['user-agent']).toMatch(/^tsbuilder\/\d/);
    expect(server.requests[0]?.headers['accept-encoding']).toBe('identity');
    expect(server.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('sends credentials to their own origin only', async () => {
    await using other = await startTestServer({ '/c': { data: DATA } });
    await using server = await startTestServer();
    server.fault = ({ path }) => ({
      status: 302,
      headers: { location: path === '/a' ? '/b' : `${other.url}/c` },
    });
    await using client = await openHttpClient();
    const url = new URL(`${server.url}/a`);
    url.username = 'user';
    url.password = 'p%40ss';
    const response = await client.request(url);
    expect(await bodyOf(response)).toBe('hello');
    const basic = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([basic, basic]);
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });

  it.each([
    ['a loop', { '/a': '/b', '/b': '/a' }, /redirects in a loop/],
    ['itself', { '/a': '/a' }, /redirects in a loop/],
    ['a file URL', { '/a': 'file:///etc/passwd' }, /redirects to a file URL/],
    ['nonsense', { '/a': 'http://[' }, /not a URL/],
  ])('refuses a redirect to %s', async (_, targets: Record<string, string>, message) => {
    await using server = await startTestServer();
    server.fault = ({ path }) => ({ status: 301, headers: { location: targets[path] ?? '/x' } });
    await using client = await openHttpClient();
    await expect(client.request(new URL(`${server.url}/a`))).rejects.toMatchObject({
      code: 'TSB_HTTP_STATUS',
      message: expect.stringMatching(message) as string,
    });
  });

  it('never goes from https to http', () => {
    const from = new URL('https://user:pw@host/a/b');
    expect(() => redirectTarget(from, 'http://host/c')).toThrow(/from https to unprotected http/);
    expect(redirectTarget(from, '../c#x').href).toBe('https://user:pw@host/c');
    expect(redirectTarget(from, 'https://other/c').href).toBe('https://other/c');
    expect(redirectTarget(new URL('http://host/a'), 'https://host/c').href).toBe('https://host/c');
  });

  it('gives up after ten redirects', async () => {
    await using server = await startTestServer();
    server.fault = ({ path }) => ({ status: 307, headers: { location: `${path}x` } });
    await using client = await openHttpClient();
    await expect(client.request(new URL(`${server.url}/a`))).rejects.toThrow(/more than 10 times/);
    expect(server.requests).toHaveLength(11);
  });

  it('refuses an encoded body, but not the label that servers put on .xz files', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    await using client = await openHttpClient();
    server.fault = () => ({ headers: { 'content-encoding': 'gzip' } });
    await expect(client.request(new URL(`${server.url}/a`))).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringContaining('gzip') as string,
    });
    server.fault = () => ({ headers: { 'content-encoding': 'x-xz' } });
    expect(await bodyOf(await client.request(new URL(`${server.url}/a`)))).toBe('hello');
  });

  it('times out on a server that does not answer, and in the middle of a body', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    await using client = await openHttpClient(FAST);
    server.fault = () => ({ hangAfter: -1 });
    const request = client.request(new URL(`${server.url}/a`));
    await expect(request).rejects.toMatchObject({ code: 'TSB_NETWORK_TIMEOUT' });
    server.fault = () => ({ hangAfter: 2 });
    const response = await client.request(new URL(`${server.url}/a`));
    await expect(bodyOf(response)).rejects.toMatchObject({ code: 'TSB_NETWORK_TIMEOUT' });
  });

  it('throws the abort reason', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    server.fault = () => ({ hangAfter: -1 });
    await using client = await openHttpClient();
    const controller = new AbortController();
    const request = client.request(new URL(`${server.url}/a`), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(request).rejects.toThrow('enough');
  });

  it('never prints credentials or the query of a URL', async () => {
    await using client = await openHttpClient();
    const error: unknown = await client
      .request(new URL('http://user:secret@127.0.0.1:1/file?sig=secret'))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'TSB_NETWORK', details: { errno: 'ECONNREFUSED' } });
    expect(JSON.stringify(error) + String(error)).not.toContain('secret');
  });

  describe('proxies', () => {
    it('takes plain http through the proxy of the environment without CONNECT', async () => {
      await using proxy = await startProxy();
      vi.stubEnv('http_proxy', `user:secret@127.0.0.1:${proxy.port}`);
      await using client = await openHttpClient();
      const response = await client.request(new URL('http://example.invalid/file'));
      expect(await bodyOf(response)).toBe('through the proxy');
      expect(proxy.seen).toEqual(['GET http://example.invalid/file']);
      expect(proxy.auth).toEqual([`Basic ${Buffer.from('user:secret').toString('base64')}`]);
    });

    it('tunnels https by CONNECT', async () => {
      await using proxy = await startProxy();
      vi.stubEnv('https_proxy', `http://127.0.0.1:${proxy.port}`);
      await using server = await startTestServer();
      await using client = await openHttpClient();
      const target = server.url.replace('http:', 'https:');
      await expect(client.request(new URL(target))).rejects.toMatchObject({ code: 'TSB_NETWORK' });
      expect(proxy.seen).toEqual([`CONNECT ${target.replace('https://', '')}`]);
    });

    it('goes round it for no_proxy and for a source that says no', async () => {
      await using proxy = await startProxy();
      await using server = await startTestServer({ '/a': { data: DATA } });
      vi.stubEnv('http_proxy', `http://127.0.0.1:${proxy.port}`);
      await using direct = await openHttpClient({ proxy: 'no' });
      expect(await bodyOf(await direct.request(new URL(`${server.url}/a`)))).toBe('hello');
      vi.stubEnv('no_proxy', '127.0.0.1');
      await using excepted = await openHttpClient({ proxy: 'system' });
      expect(await bodyOf(await excepted.request(new URL(`${server.url}/a`)))).toBe('hello');
      expect(proxy.seen).toEqual([]);
    });

    it('takes the proxy of the source', async () => {
      await using proxy = await startProxy();
      await using client = await openHttpClient({ proxy: `http://127.0.0.1:${proxy.port}` });
      await bodyOf(await client.request(new URL('http://example.invalid/x')));
      expect(proxy.seen).toEqual(['GET http://example.invalid/x']);
    });

    it('refuses nonsense without printing its password', async () => {
      const error: unknown = await openHttpClient({ proxy: 'ftp://user:secret@host' }).catch(
        (e: unknown) => e,
      );
      expect(error).toMatchObject({ code: 'TSB_USAGE' });
      expect(String(error)).not.toContain('secret');
    });
  });
});

describe('retries', () => {
  const get = async (url: string, options = {}): Promise<number> => {
    await using client = await openHttpClient();
    const { statusError } = await import('../../src/io/http-errors.js');
    return await withRetries(
      async () => {
        const response = await client.request(new URL(url));
        response.discard();
        if (response.status !== 200) throw statusError(url, response.status, response.headers);
        return response.status;
      },
      { ...FAST, ...options },
    );
  };

  it.each([408, 429, 500, 502, 503, 504])('repeats a request answered with %d', async (status) => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    server.fault = (_, count) => (count < 3 ? { status } : undefined);
    expect(await get(`${server.url}/a`)).toBe(200);
    expect(server.requests).toHaveLength(4);
  });

  it.each([400, 401, 403, 404, 410, 501])('does not repeat a request answered with %d', async (status) => {
    await using server = await startTestServer();
    server.fault = () => ({ status });
    await expect(get(`${server.url}/a`)).rejects.toMatchObject({
      code: 'TSB_HTTP_STATUS',
      details: { status },
    });
    expect(server.requests).toHaveLength(1);
  });

  it('waits as long as Retry-After says', async () => {
    await using server = await startTestServer({ '/a': { data: DATA } });
    server.fault = (_, count) => (count === 0 ? { status: 429, headers: { 'retry-after': '1' } } : undefined);
    const delays: number[] = [];
    await get(`${server.url}/a`, { onRetry: (_: unknown, delayMs: number) => delays.push(delayMs) });
    expect(delays).toEqual([1000]);
  });

  it('gives up at once when Retry-After lies behind the deadline', async () => {
    await using server = await startTestServer();
    server.fault = () => ({ status: 503, headers: { 'retry-after': '3600' } });
    await expect(get(`${server.url}/a`)).rejects.toThrow(/503 and asks to wait 3600 s/);
    expect(server.requests).toHaveLength(1);
  });

  it('gives up after a number of attempts and says so', async () => {
    await using server = await startTestServer();
    server.fault = () => ({ status: 500 });
    await expect(get(`${server.url}/a`, { maxAttempts: 4 })).rejects.toThrow(
      /500 \(gave up after 4 attempts\)/,
    );
    expect(server.requests).toHaveLength(4);
  });

  it('tries a refused connection three times, an unknown host once', async () => {
    const retries: string[] = [];
    const onRetry = (error: Error): unknown => retries.push(error.message);
    await expect(get('http://127.0.0.1:1/', { onRetry })).rejects.toThrow(
      /refused \(gave up after 3 attempts\)/,
    );
    expect(retries).toHaveLength(2);
    const lookup = Object.assign(new Error('getaddrinfo ENOTFOUND nowhere'), { code: 'ENOTFOUND' });
    const { networkError } = await import('../../src/io/http-errors.js');
    const attempt = vi.fn(() => Promise.reject(networkError('http://nowhere/', lookup)));
    await expect(withRetries(attempt, FAST)).rejects.toThrow(/no host of that name/);
    expect(attempt).toHaveBeenCalledOnce();
  });

  it('starts its budget afresh while bytes arrive', async () => {
    let bytes = 0;
    const { protocolError } = await import('../../src/io/http-errors.js');
    const attempt = (): Promise<number> => {
      bytes += 1;
      if (bytes < 30) return Promise.reject(protocolError('http://x/', 'dropped', true));
      return Promise.resolve(bytes);
    };
    expect(await withRetries(attempt, { ...FAST, maxAttempts: 2, progress: () => bytes })).toBe(30);
  });

  it('reads Retry-After in seconds and as a date', () => {
    expect(parseRetryAfter('120')).toBe(120_000);
    expect(parseRetryAfter('Wed, 21 Oct 2015 07:28:10 GMT', Date.UTC(2015, 9, 21, 7, 28, 0))).toBe(10_000);
    expect(parseRetryAfter('Wed, 21 Oct 2015 07:28:10 GMT', Date.UTC(2020, 1))).toBe(0);
    expect(parseRetryAfter('soon')).toBeUndefined();
    expect(parseRetryAfter(undefined)).toBeUndefined();
  });
});

describe('pinned URL', () => {
  it('follows redirects once, and again when the place they led to fails', async () => {
    await using server = await startTestServer({ '/m1': { data: DATA }, '/m2': { data: DATA } });
    let mirror = '/m1';
    server.fault = ({ path }) => (path === '/a' ? { status: 302, headers: { location: mirror } } : undefined);
    await using client = await openHttpClient();
    const pinned = pinUrl(client, `${server.url}/a#part`);
    const get = async (): Promise<number> => {
      const response = await pinned.request({});
      response.discard();
      return response.status;
    };
    const paths = (): string[] => server.requests.splice(0).map(({ path }) => path);
    await get();
    await get();
    await get();
    expect(paths()).toEqual(['/a', '/m1', '/m1', '/m1']);
    delete server.files['/m1'];
    mirror = '/m2';
    expect(await get()).toBe(200);
    expect(await get()).toBe(200);
    expect(paths()).toEqual(['/m1', '/a', '/m2', '/m2']);
    delete server.files['/m2'];
    expect(await get()).toBe(404);
    expect(paths()).toEqual(['/m2', '/a', '/m2']);
  });
});
