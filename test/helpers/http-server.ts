import { createHash } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** One file on the test server. */
export interface ServedFile {
  readonly data: Uint8Array;
  /** Default: a strong ETag made from the content; null for none. */
  readonly etag?: string | null;
  readonly lastModified?: string;
  /** Whether range requests are answered. Default true. */
  readonly ranges?: boolean;
  /** Whether a length is sent. Default true. */
  readonly length?: boolean;
}

/** What a request was. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** The client's port, which tells its connections apart. */
  readonly port: number | undefined;
}

/** How one answer goes wrong. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Breaks the connection after so many bytes of the body. */
  readonly dropAfter?: number;
  /** Sends so many bytes of the body, then nothing more; -1: not even headers. */
  readonly hangAfter?: number;
  /** Bytes sent in place of the right ones, with the right headers. */
  readonly body?: Uint8Array;
  /** Milliseconds between pieces of 16 KiB. */
  readonly slowMs?: number;
}

/** A server on the loopback interface. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: SeenRequest[];
  /** Connections accepted, with or without a request on them. */
  connections: number;
  /** Files by path; may be changed at any time. */
  readonly files: Record<string, ServedFile>;
  /** Asked before every answer; `count` is the number of requests for that path before this one. */
  fault: (request: SeenRequest, count: number) => Fault | undefined;
}

/** Starts a server that knows ranges, If-Range, If-Match and HEAD, and goes wrong where it is told to; with `tls` an https one. */
export async function startTestServer(
  files: Record<string, ServedFile> = {},
  tls?: { readonly key: Buffer; readonly cert: Buffer },
): Promise<TestServer> {
  const requests: SeenRequest[] = [];
  const server: TestServer = {
    url: '',
    requests,
    connections: 0,
    files,
    fault: () => undefined,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  const onRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    const { pathname } = new URL(incoming.url ?? '/', 'http://localhost');
    const request = {
      method: incoming.method ?? '',
      path: pathname,
      headers: incoming.headers,
      port: incoming.socket.remotePort,
    };
    const count = requests.filter(({ path }) => path === pathname).length;
    requests.push(request);
    void answer(server, request, { response, fault: server.fault(request, count) ?? {} });
  };
  const http = tls ? createTlsServer(tls, onRequest) : createServer(onRequest);
  http.on('connection', () => (server.connections += 1));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  return Object.assign(server, { url: tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}` });
}

/** The options that make retries fast enough for tests. */
export const FAST = { firstDelayMs: 1, maxDelayMs: 5, stallMs: 300 } as const;

async function answer(
  server: TestServer,
  request: SeenRequest,
  how: { response: ServerResponse; fault: Fault },
): Promise<void> {
  const { response, fault } = how;
  const file = server.files[request.path];
  if (fault.hangAfter === -1) return;
  if (fault.status !== undefined || !file) {
    response.writeHead(fault.status ?? 404, fault.headers);
    response.end(fault.body ?? 'sorry');
    return;
  }
  const { status, headers, body } = plainAnswer(file, request);
  const data = fault.body ?? body;
  if (file.length === false) delete headers['content-length'];
  else headers['content-length'] = String(data.length);
  response.writeHead(status, { ...headers, ...fault.headers });
  if (request.method === 'HEAD') response.end();
  else await send(response, data, fault);
}

function plainAnswer(
  file: ServedFile,
  request: SeenRequest,
): { status: number; headers: Record<string, string>; body: Uint8Array } {
  const { data } = file;
  const etag = file.etag === null ? undefined : (file.etag ?? etagOf(data));
  const headers: Record<string, string> = { ...(etag === undefined ? {} : { etag }) };
  if (file.lastModified !== undefined) headers['last-modified'] = file.lastModified;
  // We do not ask for it, but other clients do.
  if (file.ranges !== false) headers['accept-ranges'] = 'bytes';
  const wanted = request.headers;
  if (wanted['if-match'] !== undefined && wanted['if-match'] !== etag)
    return { status: 412, headers, body: EMPTY };
  const ifRange = wanted['if-range'];
  const current = ifRange === undefined || ifRange === etag || ifRange === file.lastModified;
  const match = /^bytes=(\d+)-(\d*)$/.exec(wanted.range ?? '');
  if (!match || file.ranges === false || !current) return { status: 200, headers, body: data };
  const first = Number(match[1]);
  const last = match[2] ? Math.min(Number(match[2]), data.length - 1) : data.length - 1;
  if (first >= data.length)
    return { status: 416, headers: { ...headers, 'content-range': `bytes */${data.length}` }, body: EMPTY };
  headers['content-range'] = `bytes ${first}-${last}/${data.length}`;
  return { status: 206, headers, body: data.subarray(first, last + 1) };
}

const EMPTY = new Uint8Array(0);

/** Large content is hashed once: it is never changed in place. */
const LARGE = 8 * 1024 * 1024;
const etags = new WeakMap<Uint8Array, string>();

function etagOf(data: Uint8Array): string {
  const known = etags.get(data);
  if (known !== undefined) return known;
  const etag = `"${createHash('md5').update(data).digest('hex')}"`;
  if (data.length >= LARGE) etags.set(data, etag);
  return etag;
}

async function send(response: ServerResponse, data: Uint8Array, fault: Fault): Promise<void> {
  const end = fault.dropAfter ?? fault.hangAfter ?? data.length;
  const piece = fault.slowMs === undefined ? Math.max(end, 1) : 16 * 1024;
  for (let offset = 0; offset < end; offset += piece) {
    await new Promise((resolve) =>
      response.write(data.subarray(offset, Math.min(end, offset + piece)), resolve),
    );
    if (fault.slowMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.slowMs));
  }
  if (fault.dropAfter !== undefined) {
    // What was sent should arrive before the connection breaks.
    await new Promise((resolve) => setTimeout(resolve, 15));
    response.destroy();
  } else if (fault.hangAfter === undefined) response.end();
}
