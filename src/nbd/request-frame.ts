import { ProtocolViolation } from './protocol-violation.js';
import { REQUEST_MAGIC } from './protocol.js';

/** Length of the fixed part of every request. */
export const REQUEST_BYTES = 28;

/** One request of a client, unchecked but for its magic. */
export interface Request {
  readonly flags: number;
  readonly type: number;
  /** What the client calls the request: eight bytes, given back as they came. */
  readonly cookie: readonly [high: number, low: number];
  /** In bytes. Not exact above 2^53, where no export reaches. */
  readonly offset: number;
  /** In bytes, below 2^32. */
  readonly length: number;
}

/**
 * Reads the fixed part of a request ("Request message" of the NBD protocol).
 *
 * @param frame at least REQUEST_BYTES
 * @throws ProtocolViolation when it does not start with the magic of requests
 */
export function parseRequest(frame: Buffer): Request {
  const magic = frame.readUInt32BE(0);
  if (magic !== REQUEST_MAGIC) {
    throw new ProtocolViolation(
      `a request starts with 0x${magic.toString(16)}, not with the magic of requests`,
    );
  }
  return {
    flags: frame.readUInt16BE(4),
    type: frame.readUInt16BE(6),
    cookie: [frame.readUInt32BE(8), frame.readUInt32BE(12)],
    offset: frame.readUInt32BE(16) * 0x1_0000_0000 + frame.readUInt32BE(20),
    length: frame.readUInt32BE(24),
  };
}
