/** Archives are made of blocks of this many bytes. */
export const BLOCK = 512;

/** One header block, its fields as they stand in it (POSIX pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"). */
export interface TarHeader {
  readonly name: Buffer;
  readonly linkName: Buffer;
  /** The character that tells what it is. */
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
  /** The whole block, for fields that only some flags have. */
  readonly raw: Buffer;
}

/** What is wrong with a header. */
export class BadHeader extends Error {}

/**
 * Reads a header block.
 *
 * @throws BadHeader when its checksum is wrong or a number in it is none
 */
export function parseHeader(raw: Buffer): TarHeader {
  if (!hasChecksum(raw)) throw new BadHeader('no tar header: its checksum is wrong');
  const posix = raw.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = posix ? readText(raw, 345, 155) : Buffer.alloc(0);
  const name = readText(raw, 0, 100);
  return {
    name: prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name,
    linkName: readText(raw, 157, 100),
    flag: raw.toString('latin1', 156, 157),
    mode: readNumber(raw, 100, 8) & 0o7777,
    uid: natural(readNumber(raw, 108, 8), 'owner'),
    gid: natural(readNumber(raw, 116, 8), 'group'),
    size: natural(readNumber(raw, 124, 12), 'size'),
    mtime: readNumber(raw, 136, 12),
    major: readNumber(raw, 329, 8),
    minor: readNumber(raw, 337, 8),
    raw,
  };
}

/** Whether a block has the checksum of a header. */
export function hasChecksum(raw: Buffer): boolean {
  const field = raw.subarray(148, 156);
  const first = field[0] ?? 0;
  return (first & 0x80 ? readBinary(field) : readOctal(field)) === checksum(raw);
}

/** The sum of all bytes, those of the checksum itself counted as blanks. */
function checksum(raw: Buffer): number {
  return raw.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
}

function readText(raw: Buffer, at: number, length: number): Buffer {
  const field = raw.subarray(at, at + length);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/**
 * A number: octal digits, or (GNU) with the first bit set the bytes of a number in two's complement.
 *
 * @throws BadHeader when it is neither, or too large
 */
export function readNumber(raw: Buffer, at: number, length: number): number {
  const field = raw.subarray(at, at + length);
  const first = field[0] ?? 0;
  const value = first & 0x80 ? readBinary(field) : readOctal(field);
  if (!Number.isSafeInteger(value)) throw new BadHeader('a number in the header is none');
  return value;
}

function readOctal(field: Buffer): number {
  const text = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (text === '') return 0;
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : NaN;
}

function readBinary(field: Buffer): number {
  const negative = field[0] === 0xff;
  let value = negative ? -1n : 0n;
  field.forEach((byte, at) => {
    value = (value << 8n) | BigInt(at === 0 && !negative ? byte & 0x7f : byte);
  });
  return Number(value);
}

/** @throws BadHeader when it is negative */
export function natural(value: number, what: string): number {
  if (value < 0 || !Number.isSafeInteger(value)) throw new BadHeader(`the ${what} is ${value}`);
  return value;
}
