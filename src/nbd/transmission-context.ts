import type { Counters } from '../io/counters.js';
import type { Budget } from './budget.js';
import type { Session } from './negotiation.js';
import type { ReplyBuffers } from './reply-buffers.js';
import type { Log } from './server-log.js';
import type { SocketOutput } from './socket-output.js';

/** What every request of a connection is answered with. */
export interface Transmission {
  readonly session: Session;
  readonly output: SocketOutput;
  readonly counters: Counters;
  readonly log: Log;
  /** Bytes of payload that may be in memory. */
  readonly payload: Budget;
  /** Memory for that of replies. */
  readonly buffers: ReplyBuffers;
  /** Aborted when nobody waits for the answers any more. */
  readonly signal: AbortSignal;
}
