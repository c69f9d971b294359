import { isIP, isIPv6 } from 'node:net';
import { TsbuilderError } from '../errors.js';

/** Where to listen. Without a host on all addresses of the machine. */
export interface TcpAddress {
  readonly host: string | undefined;
  readonly port: number;
}

const HINT = 'Write ADDRESS:PORT, [IPV6]:PORT, *:PORT for all addresses, or PORT for this machine only.';

/**
 * Reads `127.0.0.1:10809`, `localhost:10809`, `[::1]:10809`, `*:10809` (all addresses) or `10809` (127.0.0.1 only). Port 0 stands for
 * any free one.
 *
 * @throws TSB_USAGE when it is none of these
 */
export function parseTcpAddress(text: string): TcpAddress {
  const bad = (why: string): TsbuilderError =>
    new TsbuilderError('TSB_USAGE', `${JSON.stringify(text)} is not an address to listen on: ${why}`, {
      hint: HINT,
    });
  const match = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text.trim());
  if (!match) throw bad(isIPv6(text.trim()) ? 'there is no port' : 'there must be a port');
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port > 65_535) throw bad(`port ${port} is above 65535`);
  if (bracketed !== undefined && !isIPv6(bracketed)) throw bad(`[${bracketed}] is not an IPv6 address`);
  const host = bracketed ?? plain ?? '127.0.0.1';
  if (host === '*') return { host: undefined, port };
  if (host === '') throw bad('there is no address in front of the colon');
  if (isIP(host) === 0 && !/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/.test(host))
    throw bad(`${JSON.stringify(host)} is no host`);
  return { host, port };
}

/** Whether an IP address reaches this machine only. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\./i.test(address) || address === '::1';
}
