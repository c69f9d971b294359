import { CHUNK, CHUNK_DONE, type Errno, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC } from './protocol.js';
import type { Request } from './request-frame.js';

type Cookie = Request['cookie'];

const CHUNK_HEADER_BYTES = 20;

/** A simple reply without its payload ("Simple reply message"). */
export function simpleReply(cookie: Cookie, errno: Errno): Buffer {
  const frame = Buffer.allocUnsafe(16);
  frame.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  frame.writeUInt32BE(errno, 4);
  frame.writeUInt32BE(cookie[0], 8);
  frame.writeUInt32BE(cookie[1], 12);
  return frame;
}

/** What goes in front of `length` bytes of content at `offset`: the chunk's header and its offset. */
export function dataChunkHead(
  cookie: Cookie,
  at: { readonly offset: number; readonly length: number; readonly last: boolean },
): Buffer {
  const frame = chunk(cookie, { type: CHUNK.offsetData, last: at.last, bytes: 8, follow: at.length });
  writeOffset(frame, at.offset, CHUNK_HEADER_BYTES);
  return frame;
}

/** A chunk that says that `length` bytes at `offset` are zero. */
export function holeChunk(
  cookie: Cookie,
  at: { readonly offset: number; readonly length: number; readonly last: boolean },
): Buffer {
  const frame = chunk(cookie, { type: CHUNK.offsetHole, last: at.last, bytes: 12 });
  writeOffset(frame, at.offset, CHUNK_HEADER_BYTES);
  frame.writeUInt32BE(at.length, CHUNK_HEADER_BYTES + 8);
  return frame;
}

/** The last chunk of a reply that failed, as a whole or from the byte `offset` of the export on. */
export function errorChunk(
  cookie: Cookie,
  failure: { readonly errno: Errno; readonly message: string; readonly offset?: number | undefined },
): Buffer {
  const text = Buffer.from(failure.message).subarray(0, 0xffff);
  const type = failure.offset === undefined ? CHUNK.error : CHUNK.errorOffset;
  const bytes = 6 + text.length + (failure.offset === undefined ? 0 : 8);
  const frame = chunk(cookie, { type, last: true, bytes });
  frame.writeUInt32BE(failure.errno, CHUNK_HEADER_BYTES);
  frame.writeUInt16BE(text.length, CHUNK_HEADER_BYTES + 4);
  text.copy(frame, CHUNK_HEADER_BYTES + 6);
  if (failure.offset !== undefined) writeOffset(frame, failure.offset, frame.length - 8);
  return frame;
}

/** One descriptor of a block status reply. */
export interface StatusDescriptor {
  /** In bytes, above 0 and below 2^32. */
  readonly length: number;
  readonly flags: number;
}

/** The only chunk of an answer to a block status request with one metadata context. */
export function blockStatusChunk(
  cookie: Cookie,
  contextId: number,
  descriptors: readonly StatusDescriptor[],
): Buffer {
  const frame = chunk(cookie, { type: CHUNK.blockStatus, last: true, bytes: 4 + 8 * descriptors.length });
  frame.writeUInt32BE(contextId, CHUNK_HEADER_BYTES);
  let at = CHUNK_HEADER_BYTES + 4;
  for (const { length, flags } of descriptors) {
    frame.writeUInt32BE(length, at);
    frame.writeUInt32BE(flags, at + 4);
    at += 8;
  }
  return frame;
}

/** A chunk with `bytes` of payload that are still to be filled in, and `follow` more that are sent behind it. */
function chunk(
  cookie: Cookie,
  shape: { readonly type: number; readonly last: boolean; readonly bytes: number; readonly follow?: number },
): Buffer {
  const frame = Buffer.allocUnsafe(CHUNK_HEADER_BYTES + shape.bytes);
  frame.writeUInt32BE(STRUCTURED_REPLY_MAGIC, 0);
  frame.writeUInt16BE(shape.last ? CHUNK_DONE : 0, 4);
  frame.writeUInt16BE(shape.type, 6);
  frame.writeUInt32BE(cookie[0], 8);
  frame.writeUInt32BE(cookie[1], 12);
  frame.writeUInt32BE(shape.bytes + (shape.follow ?? 0), 16);
  return frame;
}

function writeOffset(frame: Buffer, offset: number, at: number): void {
  frame.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), at);
  frame.writeUInt32BE(offset % 0x1_0000_0000, at + 4);
}
