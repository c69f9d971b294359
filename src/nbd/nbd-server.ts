import { setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import { messageOf } from '../errors.js';
import { Budget } from './budget.js';
import { type Agreed, negotiate } from './handshake.js';
import type { NbdLimits, NbdServerOptions } from './nbd-options.js';
import type { Session } from './negotiation.js';
import { ProtocolViolation } from './protocol-violation.js';
import { ReplyBuffers } from './reply-buffers.js';
import { type Log, newServerLog } from './server-log.js';
import { UnexpectedEnd } from './socket-input.js';
import { transmit } from './transmission.js';
import { type Wire, closeWire, openWire } from './wire.js';

export type { NbdExport, NbdServerOptions, NbdTls } from './nbd-options.js';

const DEFAULT_LIMITS: NbdLimits = {
  handshakeMs: 30_000,
  drainMs: 10_000,
  requests: 128,
  payloadBytes: 8 * 1024 * 1024,
};

const DEFAULT_CONNECTIONS = 64;

/** Lines that one connection may write to the log. A client that hammers a bad block must not fill a disk. */
const MAX_LOG_LINES = 100;

/** What the connections of one server share. */
interface Server {
  connections: number;
  readonly log: Log;
}

const servers = new WeakMap<NbdServerOptions, Server>();

function serverOf(options: NbdServerOptions): Server {
  const known = servers.get(options) ?? { connections: 0, log: newServerLog(options.log) };
  servers.set(options, known);
  return known;
}

/**
 * Serves one NBD connection: negotiates, answers requests until the client leaves, closes `socket`. When `signal` is aborted no further
 * requests are taken, those in flight get `limits.drainMs` to finish.
 *
 * Never rejects for what a client did or a disk could not do: that is a line in the log.
 */
export async function serveNbdConnection(
  socket: Duplex,
  options: NbdServerOptions,
  signal: AbortSignal,
): Promise<void> {
  const server = serverOf(options);
  if (server.connections >= (options.maxConnections ?? DEFAULT_CONNECTIONS)) {
    server.log(`connection refused: ${server.connections} are open already`);
    socket.on('error', () => undefined).destroy();
    return;
  }
  server.connections += 1;
  setMaxListeners(0, signal);
  options.counters.connections += 1;
  try {
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    await converse(socket, { options: { ...options, log: boundedLog(server.log) }, limits, signal });
  } finally {
    server.connections -= 1;
  }
}

interface Terms {
  readonly options: NbdServerOptions & { readonly log: Log };
  readonly limits: NbdLimits;
  readonly signal: AbortSignal;
}

async function converse(socket: Duplex, terms: Terms): Promise<void> {
  try {
    const { wire, session } = await withinHandshakeTime(socket, terms);
    if (session) await serveExport(wire, session, terms);
    await closeWire(wire, terms.limits.drainMs);
  } catch (error) {
    if (error instanceof ProtocolViolation) terms.options.log(`connection closed: ${error.message}`);
    else if (!(error instanceof UnexpectedEnd)) terms.options.log(`connection failed: ${messageOf(error)}`);
  } finally {
    socket.destroy();
  }
}

/** Negotiates; a client that takes too long, or is at it when the server stops, loses its connection. */
async function withinHandshakeTime(socket: Duplex, terms: Terms): Promise<Agreed> {
  const giveUp = (): void => void socket.destroy();
  const timer = setTimeout(giveUp, terms.limits.handshakeMs);
  terms.signal.addEventListener('abort', giveUp, { once: true });
  if (terms.signal.aborted) giveUp();
  try {
    return await negotiate(openWire(socket), terms.options);
  } finally {
    clearTimeout(timer);
    terms.signal.removeEventListener('abort', giveUp);
  }
}

/** The transmission phase, from the first request to the last reply. */
async function serveExport(wire: Wire, session: Session, { options, limits, signal }: Terms): Promise<void> {
  const gone = new AbortController();
  // Every read in flight listens.
  setMaxListeners(0, gone.signal);
  let timer: NodeJS.Timeout | undefined;
  const drain = (): void => {
    timer ??= setTimeout(() => wire.socket.destroy(), limits.drainMs);
  };
  const stop = (): void => {
    wire.input.stop();
    drain();
  };
  wire.socket.once('close', () => gone.abort());
  if (wire.socket.destroyed) gone.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const { counters, log } = options;
  const payload = new Budget(limits.payloadBytes);
  const buffers = new ReplyBuffers(limits.payloadBytes);
  try {
    await transmit(
      { session, output: wire.output, counters, log, payload, buffers, signal: gone.signal },
      { input: wire.input, maxRequests: limits.requests, stop: signal, drain, abandon: () => gone.abort() },
    );
  } catch (error) {
    if (!(error instanceof UnexpectedEnd)) throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

function boundedLog(log: Log): Log {
  let lines = 0;
  return (line, subject) => {
    if (lines === MAX_LOG_LINES) return false;
    const written = log(line, subject);
    if (written) lines += 1;
    if (lines === MAX_LOG_LINES) log('further messages about this connection are left out');
    return written;
  };
}
