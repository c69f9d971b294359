import type { Duplex } from 'node:stream';
import type { Counters } from '../io/counters.js';
import type { DiskSource } from '../io/disk-source.js';

/** A disk that clients can ask for by name. It takes writes when `isWritable(disk)`. */
export interface NbdExport {
  readonly name: string;
  /** One line for people, shown by clients that list exports. */
  readonly description?: string | undefined;
  readonly disk: DiskSource;
  /** Whether `disk.zero` with `punch` is always faster than writing zeros: `NBD_FLAG_SEND_FAST_ZERO`. */
  readonly fastZero?: boolean | undefined;
}

/** Upgrades connections to TLS. */
export interface NbdTls {
  /** `require`: nothing but STARTTLS is served before the upgrade. */
  readonly mode: 'allow' | 'require';
  /** The encrypted stream over `socket`, which it then owns. Rejects when the TLS handshake fails. */
  upgrade(socket: Duplex): Promise<Duplex>;
}

/** What one connection may cost. See docs/nbd.md for the reasons. */
export interface NbdLimits {
  /** Time for the whole negotiation, TLS included. */
  readonly handshakeMs: number;
  /** Time that requests in flight get to finish, and replies to leave, once the connection is to end. */
  readonly drainMs: number;
  /** Requests of one connection that are worked on or whose reply is still on its way. */
  readonly requests: number;
  /** Bytes of payload of one connection that are in memory: replies on their way out and data to be written. */
  readonly payloadBytes: number;
}

export interface NbdServerOptions {
  /** At least one; names are unique. */
  readonly exports: readonly NbdExport[];
  /** Name of the export that clients get who ask for ''. */
  readonly defaultExport: string;
  readonly tls?: NbdTls | undefined;
  /** One line about an error or a client that broke the rules. */
  readonly log: (line: string) => void;
  readonly counters: Counters;
  /** Connections served at once; further ones are closed at once. Default 64. */
  readonly maxConnections?: number | undefined;
  readonly limits?: Partial<NbdLimits> | undefined;
}
