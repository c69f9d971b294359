import type { NbdServerOptions } from './nbd-options.js';
import type { Negotiation, Session } from './negotiation.js';
import {
  OPTION_HEADER_BYTES,
  greeting,
  optionReply,
  parseClientFlags,
  parseOptionHeader,
} from './option-frames.js';
import { answerOption } from './options.js';
import { ProtocolViolation } from './protocol-violation.js';
import { OPT, REP } from './protocol.js';
import { type Wire, openWire } from './wire.js';

/** How a negotiation ended. */
export interface Agreed {
  /** The connection, encrypted when the client asked for it. */
  readonly wire: Wire;
  /** Undefined when the client left, or gave up. */
  readonly session: Session | undefined;
}

/**
 * Negotiates with a client in the fixed newstyle ("Fixed newstyle negotiation" of the NBD protocol).
 *
 * @throws ProtocolViolation when there is no way to go on, UnexpectedEnd when the client left in the middle of an option, what
 *   `tls.upgrade` throws
 */
export async function negotiate(plain: Wire, options: NbdServerOptions): Promise<Agreed> {
  await plain.output.send(greeting());
  const flags = await plain.input.read(4);
  if (!flags) return { wire: plain, session: undefined };
  const client = parseClientFlags(flags);
  const outcome = await haggle(plain, { options, client, encrypted: false });
  if (outcome !== 'tls') return { wire: plain, session: outcome };
  // Nothing that was agreed on in the open is known to come from the client: it starts anew.
  const wire = await startTls(plain, options);
  const session = await haggle(wire, { options, client, encrypted: true });
  return { wire, session: session === 'tls' ? undefined : session };
}

/** Answers options until the client has chosen an export or left, or wants TLS. */
async function haggle(
  wire: Wire,
  start: Pick<Negotiation, 'options' | 'client' | 'encrypted'>,
): Promise<Session | 'tls' | undefined> {
  const negotiation: Negotiation = {
    ...start,
    output: wire.output,
    structured: false,
    allocationOf: undefined,
  };
  for (;;) {
    const header = await wire.input.read(OPTION_HEADER_BYTES);
    if (!header) return undefined;
    const { option, length } = parseOptionHeader(header);
    const data = await wire.input.read(length);
    if (!data) return undefined;
    const next = await answerOption(negotiation, option, data);
    if (next === 'close') return undefined;
    if (next !== 'option') return next;
  }
}

/**
 * Whatever the client sent behind STARTTLS was not protected and could be anybody's: it must not be taken for the client's word on the
 * encrypted connection.
 */
async function startTls(plain: Wire, options: NbdServerOptions): Promise<Wire> {
  if (!options.tls) throw new Error('TLS without a configuration');
  if (plain.input.detach()) throw new ProtocolViolation('unencrypted bytes behind the request for TLS');
  await plain.output.send(optionReply(OPT.startTls, REP.ack));
  return openWire(await options.tls.upgrade(plain.socket));
}
