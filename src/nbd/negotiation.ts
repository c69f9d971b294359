import type { NbdExport, NbdServerOptions } from './nbd-options.js';
import { optionReply } from './option-frames.js';
import type { SocketOutput } from './socket-output.js';

/** How far a client and the server have agreed on what they will speak. */
export interface Negotiation {
  readonly options: NbdServerOptions;
  readonly output: SocketOutput;
  readonly encrypted: boolean;
  readonly client: { readonly fixedNewstyle: boolean; readonly noZeroes: boolean };
  structured: boolean;
  /** The export for which the client chose `base:allocation`, the only metadata context. */
  allocationOf: NbdExport | undefined;
}

/** What the transmission phase works with. */
export interface Session {
  readonly export: NbdExport;
  /** Transmission flags, as the client was told. */
  readonly flags: number;
  readonly structured: boolean;
  /** Whether the client may ask for the block status. */
  readonly blockStatus: boolean;
}

/** What comes after an option: the next one, the end of the connection, TLS, or the transmission phase. */
export type AfterOption = 'option' | 'close' | 'tls' | Session;

/** Answers an option with an error and a text for people. */
export async function refuse(
  negotiation: Negotiation,
  option: number,
  why: { readonly type: number; readonly message: string },
): Promise<'option'> {
  await negotiation.output.send(optionReply(option, why.type, Buffer.from(why.message)));
  return 'option';
}
