import { crc32 } from 'node:zlib';

/** Length of a stream header and of a stream footer (xz file format 1.2.1, sections 2.1.1 and 2.1.2). */
export const STREAM_EDGE = 12;

const HEADER_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = Buffer.from('YZ');

/** Integrity checks by id (section 2.1.1.2). */
const CHECK_NAMES: Readonly<Record<number, string>> = { 0: 'None', 1: 'CRC32', 4: 'CRC64', 10: 'SHA-256' };

/** What is wrong with a stream header or footer: damaged bytes, or flags of a later version of the format. */
export interface EdgeFault {
  readonly fault: 'magic' | 'crc' | 'flags';
}

/** Whether `head`, the first bytes of a file, begin like an xz file. At least 6 bytes are needed to say yes. */
export function isXz(head: Uint8Array): boolean {
  return head.length >= HEADER_MAGIC.length && HEADER_MAGIC.equals(head.subarray(0, HEADER_MAGIC.length));
}

/** `check` in the words of `xz --list`: None, CRC32, CRC64, SHA-256, Unknown-N. */
export function checkName(check: number): string {
  return CHECK_NAMES[check] ?? `Unknown-${check}`;
}

/** The check id in a 12-byte stream header, or what is wrong with it. */
export function parseStreamHeader(data: Uint8Array): { readonly check: number } | EdgeFault {
  const bytes = asBuffer(data);
  if (!isXz(bytes)) return { fault: 'magic' };
  if (crc32(bytes.subarray(6, 8)) !== bytes.readUInt32LE(8)) return { fault: 'crc' };
  return parseFlags(bytes.readUInt16BE(6));
}

/** The check id and the size of the index field in a 12-byte stream footer, or what is wrong with it. */
export function parseStreamFooter(
  data: Uint8Array,
): { readonly check: number; readonly indexSize: number } | EdgeFault {
  const bytes = asBuffer(data);
  if (!FOOTER_MAGIC.equals(bytes.subarray(10, 12))) return { fault: 'magic' };
  if (crc32(bytes.subarray(4, 10)) !== bytes.readUInt32LE(0)) return { fault: 'crc' };
  const flags = parseFlags(bytes.readUInt16BE(8));
  return 'fault' in flags ? flags : { ...flags, indexSize: (bytes.readUInt32LE(4) + 1) * 4 };
}

/** The 12 bytes of a stream header for check id `check`. */
export function encodeStreamHeader(check: number): Buffer {
  const bytes = Buffer.alloc(STREAM_EDGE);
  HEADER_MAGIC.copy(bytes);
  bytes[7] = check;
  bytes.writeUInt32LE(crc32(bytes.subarray(6, 8)), 8);
  return bytes;
}

/** The 12 bytes of a stream footer for check id `check` and an index field of `indexSize` bytes. */
export function encodeStreamFooter(check: number, indexSize: number): Buffer {
  const bytes = Buffer.alloc(STREAM_EDGE);
  bytes.writeUInt32LE(indexSize / 4 - 1, 4);
  bytes[9] = check;
  FOOTER_MAGIC.copy(bytes, 10);
  bytes.writeUInt32LE(crc32(bytes.subarray(4, 10)), 0);
  return bytes;
}

/** Stream flags: a zero byte, then the check id in the low half of the second; all other bits are reserved. */
function parseFlags(flags: number): { readonly check: number } | EdgeFault {
  return flags > 0x0f ? { fault: 'flags' } : { check: flags };
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
