import { crc32 } from 'node:zlib';
import type { InputCursor } from '../io/input-cursor.js';

const FIXED = 10;
const DEFLATE = 8;
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
const RESERVED = 0xe0;
/** Longest name or comment accepted. Both are meant to be lines of text. */
const MAX_TEXT = 64 * 1024;

/** Whether a file that begins with these bytes is a gzip file (RFC 1952, 2.3.1). */
export function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/** What is wrong with a header: words that follow "has". */
export interface HeaderFault {
  readonly fault: string;
}

/**
 * Goes over the header of a gzip member (RFC 1952, 2.3), whose two magic bytes the caller has seen. Nothing in it matters to the
 * content.
 *
 * @returns undefined when it is right
 */
export async function skipGzipHeader(cursor: InputCursor): Promise<HeaderFault | undefined> {
  const header: Uint8Array[] = [];
  const take = async (length: number): Promise<Uint8Array> => {
    const bytes = await cursor.take(length);
    header.push(bytes);
    return bytes;
  };
  const fixed = await take(FIXED);
  if (fixed.length < FIXED) return CUT;
  const [method = 0, flags = 0] = fixed.subarray(2);
  if (method !== DEFLATE) return { fault: `compression method ${method}, which is not known` };
  if ((flags & RESERVED) !== 0) return { fault: 'flags that are not known' };
  if ((flags & FEXTRA) !== 0) {
    const [low, high] = await take(2);
    if (low === undefined || high === undefined) return CUT;
    const size = low + high * 256;
    if ((await take(size)).length < size) return CUT;
  }
  for (const flag of [FNAME, FCOMMENT]) {
    const length = (flags & flag) === 0 ? 0 : await textLength(cursor);
    if (length === undefined) return { fault: 'a name or comment without an end' };
    await take(length);
  }
  if ((flags & FHCRC) === 0) return undefined;
  const actual = header.reduce((crc, bytes) => crc32(bytes, crc), 0) & 0xffff;
  const [low, high] = await cursor.take(2);
  if (low === undefined || high === undefined) return CUT;
  return low + high * 256 === actual ? undefined : { fault: 'a header with a wrong CRC16' };
}

const CUT: HeaderFault = { fault: 'no room for its header: it is cut off' };

/** Bytes of the zero-terminated text at the cursor, with its zero. */
async function textLength(cursor: InputCursor): Promise<number | undefined> {
  for (let want = 256; want <= MAX_TEXT; want *= 2) {
    const bytes = await cursor.peek(want);
    const end = bytes.subarray(0, MAX_TEXT).indexOf(0);
    if (end >= 0) return end + 1;
    if (bytes.length < want) return undefined;
  }
  return undefined;
}
