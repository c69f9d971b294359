import { ProtocolViolation } from './protocol-violation.js';
import { HANDSHAKE, INIT_MAGIC, MAX_STRING, OPTION_MAGIC, OPTION_REPLY_MAGIC } from './protocol.js';

/** Length of what every option starts with: magic, number, length of its data. */
export const OPTION_HEADER_BYTES = 16;

/** Most data an option may have. The longest that makes sense is a name and a few queries. */
const MAX_OPTION_BYTES = 64 * 1024;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What a server says first: its magics, and that it speaks fixed newstyle and can leave out the padding. */
export function greeting(): Buffer {
  const frame = Buffer.alloc(18);
  frame.writeBigUInt64BE(INIT_MAGIC, 0);
  frame.writeBigUInt64BE(OPTION_MAGIC, 8);
  frame.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 16);
  return frame;
}

/**
 * Reads the client's answer to the greeting.
 *
 * @throws ProtocolViolation for flags that the server did not offer (they must end the connection)
 */
export function parseClientFlags(frame: Buffer): { fixedNewstyle: boolean; noZeroes: boolean } {
  const flags = frame.readUInt32BE(0);
  if ((flags & ~(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes)) !== 0) {
    throw new ProtocolViolation(`unknown client flags 0x${flags.toString(16)}`);
  }
  return {
    fixedNewstyle: (flags & HANDSHAKE.fixedNewstyle) !== 0,
    noZeroes: (flags & HANDSHAKE.noZeroes) !== 0,
  };
}

/** @throws ProtocolViolation for a wrong magic or more data than any option needs */
export function parseOptionHeader(frame: Buffer): { option: number; length: number } {
  if (frame.readBigUInt64BE(0) !== OPTION_MAGIC) {
    throw new ProtocolViolation('an option does not start with the magic of options');
  }
  const length = frame.readUInt32BE(12);
  if (length > MAX_OPTION_BYTES) {
    throw new ProtocolViolation(`an option with ${length} bytes of data, more than ${MAX_OPTION_BYTES}`);
  }
  return { option: frame.readUInt32BE(8), length };
}

/** One reply to an option. */
export function optionReply(option: number, type: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.allocUnsafe(20 + data.length);
  frame.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  frame.writeUInt32BE(option, 8);
  frame.writeUInt32BE(type, 12);
  frame.writeUInt32BE(data.length, 16);
  frame.set(data, 20);
  return frame;
}

/** `value` as 32 bits in network order. */
export function uint32(value: number): Buffer {
  const field = Buffer.allocUnsafe(4);
  field.writeUInt32BE(value);
  return field;
}

/** The data of an option does not have the form it must have; the client is told so. */
export class InvalidOption extends Error {
  override readonly name = 'InvalidOption';
}

/** Reads the fields of an option's data one after the other. Every method throws InvalidOption where the data ends too early. */
export class OptionReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  uint16(): number {
    return this.#bytes(2).readUInt16BE();
  }

  uint32(): number {
    return this.#bytes(4).readUInt32BE();
  }

  /** A string with its length in front. @throws InvalidOption when it is longer than 4096 bytes or not UTF-8 */
  string(): string {
    return decodeString(this.#bytes(this.uint32()));
  }

  /** @throws InvalidOption unless everything has been read */
  end(): void {
    if (this.#at !== this.#data.length) {
      throw new InvalidOption(`${this.#data.length - this.#at} bytes too many`);
    }
  }

  #bytes(length: number): Buffer {
    if (length > this.#data.length - this.#at) throw new InvalidOption('the data ends too early');
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }
}

/** @throws InvalidOption when `bytes` are more than 4096 or not UTF-8 */
export function decodeString(bytes: Buffer): string {
  if (bytes.length > MAX_STRING)
    throw new InvalidOption(`a string of ${bytes.length} bytes, more than ${MAX_STRING}`);
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new InvalidOption('a string that is not UTF-8');
  }
}
