import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import type { Counters } from '../io/counters.js';
import type { ServerState } from './stats.js';

/** Where metrics are answered. */
export interface MetricsAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

const METRICS: readonly { readonly counter: keyof Counters; readonly name: string; readonly help: string }[] =
  [
    { counter: 'requests', name: 'nbd_requests', help: 'NBD requests answered, errors included.' },
    { counter: 'errors', name: 'nbd_errors', help: 'NBD requests answered with an error.' },
    { counter: 'connections', name: 'nbd_connections', help: 'NBD connections accepted.' },
    { counter: 'bytesServed', name: 'nbd_served_bytes', help: 'Bytes of disk content sent to NBD clients.' },
    {
      counter: 'bytesWritten',
      name: 'nbd_written_bytes',
      help: 'Bytes of disk content received from NBD clients.',
    },
    { counter: 'segmentsDecoded', name: 'blocks_decoded', help: 'Blocks of compressed images decoded.' },
    { counter: 'bytesDecoded', name: 'decoded_bytes', help: 'Bytes that decoding made.' },
    { counter: 'cacheHits', name: 'cache_hits', help: 'Reads answered without waiting for a decoder.' },
    { counter: 'cacheMisses', name: 'cache_misses', help: 'Reads that waited for a decoder.' },
    {
      counter: 'bytesFetched',
      name: 'fetched_bytes',
      help: 'Bytes read from images, from files and from servers.',
    },
    {
      counter: 'httpRequests',
      name: 'http_requests',
      help: 'Requests sent to HTTP servers, retries included.',
    },
  ];

/** The state in the text format of Prometheus, version 0.0.4 (prometheus.io, "Exposition formats"). */
export function formatMetrics(state: ServerState): string {
  const lines = METRICS.flatMap(({ counter, name, help }) => [
    `# HELP tsbuilder_${name}_total ${help}`,
    `# TYPE tsbuilder_${name}_total counter`,
    `tsbuilder_${name}_total ${state.counters[counter]}`,
  ]);
  lines.push(
    '# HELP tsbuilder_uptime_seconds Seconds since the server started.',
    '# TYPE tsbuilder_uptime_seconds gauge',
    `tsbuilder_uptime_seconds ${state.uptimeMs / 1000}`,
    '# HELP tsbuilder_export_size_bytes Virtual size of an export.',
    '# TYPE tsbuilder_export_size_bytes gauge',
    ...state.sources.map(
      ({ name, size, format }) =>
        `tsbuilder_export_size_bytes{export="${escapeLabel(name)}",format="${escapeLabel(format)}"} ${size}`,
    ),
  );
  return `${lines.join('\n')}\n`;
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
}

const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;

/**
 * Answers `GET /metrics` (and HEAD) with what `read` says then; every other path is 404, every other method 405. Few clients at a
 * time and slow ones are cut off: a scraper needs no more.
 *
 * @returns the address as a URL; disposing it ends all connections
 * @throws TSB_LISTEN when the address cannot be listened on
 */
export async function startMetrics(
  address: MetricsAddress,
  read: () => ServerState,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer({
    headersTimeout: TIMEOUT_MS,
    requestTimeout: TIMEOUT_MS,
    maxHeaderSize: 8192,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(TIMEOUT_MS);
  server.on('request', (request: IncomingMessage, response: ServerResponse) =>
    answer(request, response, read),
  );
  await listen(server, address);
  const { port } = server.address() as AddressInfo;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return {
    url: `http://${host}:${port}/metrics`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, { host, port }: MetricsAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const reason = errnoOf(error) === 'EADDRINUSE' ? 'another program is using it' : messageOf(error);
      reject(
        new TsbuilderError('TSB_LISTEN', `--metrics ${host}:${port}: cannot listen there: ${reason}`, {
          hint: 'Choose another port, or 0 for any that is free.',
          cause: error,
        }),
      );
    };
    server.once('error', fail);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', fail);
      // A client that goes away in the middle is no matter for the server.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

function answer(request: IncomingMessage, response: ServerResponse, read: () => ServerState): void {
  const path = (request.url ?? '').split('?', 1)[0];
  const known = request.method === 'GET' || request.method === 'HEAD';
  const status = path !== '/metrics' ? 404 : known ? 200 : 405;
  const found = status === 200;
  const body = found
    ? formatMetrics(read())
    : `${status === 404 ? 'The metrics are at /metrics.' : 'Only GET and HEAD.'}\n`;
  response.writeHead(status, {
    'content-type': found ? 'text/plain; version=0.0.4; charset=utf-8' : 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(status === 405 && { allow: 'GET, HEAD' }),
    // A body that nobody asked for is not read; the connection ends with the answer.
    ...(known ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
