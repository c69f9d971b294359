import { once, setMaxListeners } from 'node:events';
import { type AddressInfo, type ListenOptions, type Server, type Socket, createServer } from 'node:net';
import { resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { TsbuilderError, errnoOf, messageOf } from '../errors.js';
import type { NbdEndpoint } from './nbd-uri.js';
import { unixSocketPath } from './socket-activation.js';
import { isLoopback } from './tcp-address.js';
import { bindSocketPath, openPrivateSocket } from './unix-socket.js';

/** Where a server listens: on TCP (without a host on all addresses), on a Unix socket (without a path on a private one), on sockets it was given. */
export type NbdAddress =
  | { readonly kind: 'tcp'; readonly host: string | undefined; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string | undefined }
  | { readonly kind: 'activation'; readonly fds: readonly number[] };

export interface NbdListenerOptions {
  /** Serves one connection and resolves when it has ended. Once `signal` is aborted it finishes what is in flight and ends. */
  readonly serve: (socket: Duplex, signal: AbortSignal) => Promise<void>;
  /** How long connections get to finish when the listener closes. Default 15 s. */
  readonly drainMs?: number | undefined;
  /** Called whenever a connection has ended and none is left. */
  readonly onIdle?: (() => void) | undefined;
}

/** A server that accepts connections. Disposing it closes its sockets, lets the connections finish, then cuts those that do not. */
export interface NbdListener extends AsyncDisposable {
  /** Where clients find it; a socket that was handed over and has no name is not among them. */
  readonly endpoints: readonly NbdEndpoint[];
  /** Whether other machines may reach it. */
  readonly exposed: boolean;
}

const DRAIN_MS = 15_000;

/**
 * Listens, and hands each connection to `serve`.
 *
 * @throws TSB_LISTEN when the address is in use, not of this machine, not allowed, or the socket's path cannot be used
 */
export async function openNbdListener(
  address: NbdAddress,
  options: NbdListenerOptions,
): Promise<NbdListener> {
  const connections = trackConnections(options);
  const bound = await bind(address, connections.accept);
  const endpoints = bound.servers.flatMap(({ endpoint }) => (endpoint ? [endpoint] : []));
  return {
    endpoints,
    exposed: endpoints.some((endpoint) => endpoint.kind === 'tcp' && !isLoopback(endpoint.host)),
    async [Symbol.asyncDispose]() {
      const closed = bound.servers.map(({ server }) => close(server));
      const cut = setTimeout(connections.cut, options.drainMs ?? DRAIN_MS);
      await connections.finish();
      await Promise.all(closed);
      clearTimeout(cut);
      await bound.place?.[Symbol.asyncDispose]();
    },
  };
}

interface BoundServer {
  readonly server: Server;
  readonly endpoint: NbdEndpoint | undefined;
}

interface Bound {
  readonly servers: readonly BoundServer[];
  readonly place?: AsyncDisposable | undefined;
}

async function bind(address: NbdAddress, accept: (socket: Socket) => void): Promise<Bound> {
  switch (address.kind) {
    case 'tcp':
      return { servers: [await bindTcp(address, accept)] };
    case 'unix':
      return bindUnix(address.path, accept);
    case 'activation':
      return { servers: await bindGiven(address.fds, accept) };
  }
}

async function bindTcp(
  { host, port }: { readonly host: string | undefined; readonly port: number },
  accept: (socket: Socket) => void,
): Promise<BoundServer> {
  const where = `${host ?? '*'}:${port}`;
  const server = await listen({ ...(host !== undefined && { host }), port }, where, accept);
  return { server, endpoint: tcpEndpoint(server) };
}

async function bindUnix(path: string | undefined, accept: (socket: Socket) => void): Promise<Bound> {
  if (path !== undefined) {
    const target = resolve(path);
    const servers: BoundServer[] = [];
    await bindSocketPath(path, async () => {
      const server = await listen({ path: target }, path, accept);
      servers.push({ server, endpoint: { kind: 'unix', path: target } });
    });
    return { servers };
  }
  const place = await openPrivateSocket();
  try {
    const server = await listen({ path: place.path }, place.path, accept);
    return { servers: [{ server, endpoint: { kind: 'unix', path: place.path } }], place };
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

async function bindGiven(fds: readonly number[], accept: (socket: Socket) => void): Promise<BoundServer[]> {
  const servers: BoundServer[] = [];
  try {
    for (const fd of fds) {
      const path = unixSocketPath(fd);
      const server = await listen({ fd }, `descriptor ${fd}`, accept);
      servers.push({ server, endpoint: path === undefined ? tcpEndpoint(server) : { kind: 'unix', path } });
    }
    return servers;
  } catch (error) {
    await Promise.all(servers.map(({ server }) => close(server)));
    throw error;
  }
}

async function listen(
  where: ListenOptions | { readonly fd: number },
  name: string,
  accept: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, accept);
  try {
    server.listen(where);
    await once(server, 'listening');
    // Such as EMFILE while accepting: the client sees a closed connection, the server lives on.
    server.on('error', () => undefined);
    return server;
  } catch (error) {
    throw listenError(name, error);
  }
}

function tcpEndpoint(server: Server): NbdEndpoint | undefined {
  const found: AddressInfo | string | null = server.address();
  if (found === null || typeof found === 'string') return undefined;
  return {
    kind: 'tcp',
    host: found.address,
    port: found.port,
    wildcard: ['::', '0.0.0.0'].includes(found.address),
  };
}

/** Resolves when the server and all its connections are closed. */
function close(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}

interface Connections {
  readonly accept: (socket: Socket) => void;
  /** Asks all connections to end, and waits until none is served any more. */
  readonly finish: () => Promise<void>;
  /** Closes what is left, whatever it is doing. */
  readonly cut: () => void;
}

function trackConnections(options: NbdListenerOptions): Connections {
  const sockets = new Set<Socket>();
  const served = new Set<Promise<void>>();
  const ending = new AbortController();
  setMaxListeners(0, ending.signal);
  const accept = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A reset that comes when nobody listens must not end the program.
    socket.on('error', () => undefined);
    const work = options
      .serve(socket, ending.signal)
      .catch(() => undefined)
      .finally(() => {
        socket.destroySoon();
        served.delete(work);
        if (served.size === 0) options.onIdle?.();
      });
    served.add(work);
  };
  return {
    accept,
    async finish() {
      ending.abort();
      await Promise.all(served);
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

const REASONS: Readonly<Record<string, { what: string; hint: string }>> = {
  EADDRINUSE: {
    what: 'the address is in use',
    hint: 'Choose another port (0 takes any free one), or end what listens there.',
  },
  EACCES: {
    what: 'not allowed',
    hint: 'Ports below 1024 and folders of others need privileges: choose another.',
  },
  EADDRNOTAVAIL: {
    what: 'this machine has no such address',
    hint: 'ip address shows those it has; *:PORT listens on all.',
  },
  ENOTFOUND: { what: 'no such host', hint: 'Give an address of this machine, or *:PORT for all.' },
};

function listenError(where: string, error: unknown): TsbuilderError {
  const errno = errnoOf(error);
  const reason = REASONS[errno ?? ''];
  return new TsbuilderError('TSB_LISTEN', `cannot listen on ${where}: ${reason?.what ?? messageOf(error)}`, {
    hint: reason?.hint,
    details: { address: where, errno },
    cause: error,
  });
}
