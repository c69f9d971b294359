import { replyFailure } from './failure.js';
import { CMD_FLAG, ERRNO } from './protocol.js';
import { type Piece, cutAt, readPieces } from './read-pieces.js';
import { dataChunkHead, holeChunk, simpleReply } from './reply-frames.js';
import type { Request } from './request-frame.js';
import type { Transmission } from './transmission-context.js';

/** A slice that cannot be read is tried again in pieces that end at multiples of this. */
const RETRY_BYTES = 64 * 1024;

/** What a chunk takes of the payload budget at least: chunks that wait to be sent use memory even when they carry next to nothing. */
const CHUNK_COST = 512;

/** Answers `NBD_CMD_READ`. Resolves when the reply has left. */
export function answerRead(to: Transmission, request: Request): Promise<void> {
  return to.session.structured ? answerInChunks(to, request) : answerAtOnce(to, request);
}

/** A simple reply says that all is well before the first byte of content: all of it has to be there. */
async function answerAtOnce(to: Transmission, request: Request): Promise<void> {
  const giveBack = await to.payload.take(request.length);
  try {
    const { data, release } = await readExactly(to, request);
    to.counters.bytesServed += data.length;
    await to.output.send(simpleReply(request.cookie, ERRNO.none), data);
    release();
  } finally {
    giveBack();
  }
}

/** Why a part of a read has no chunk, and the byte of the export it begins at. */
interface ReadFailure {
  readonly error: unknown;
  readonly offset: number;
}

/**
 * A structured reply is sent while it is read, a slice in memory at a time and holes as such. When a slice fails, the client still gets
 * what is good in front of it, and is told where the bad part begins.
 */
async function answerInChunks(to: Transmission, request: Request): Promise<void> {
  const sending: Promise<void>[] = [];
  const send = (piece: Piece): Promise<ReadFailure | undefined> => sendPiece(to, request, { piece, sending });
  const failure = await sendAll(await piecesOf(to, request), async (piece) => {
    const first = await send(piece);
    const whole = dontFragment(request) || piece.length <= RETRY_BYTES || to.signal.aborted;
    return first && !whole
      ? sendAll(cutAt(RETRY_BYTES, piece.offset, piece.offset + piece.length), send)
      : first;
  });
  if (failure) sending.push(replyFailure(to, request, failure));
  await Promise.all(sending);
}

/** Stops at the first failure, and returns it. */
async function sendAll(
  pieces: readonly Piece[],
  send: (piece: Piece) => Promise<ReadFailure | undefined>,
): Promise<ReadFailure | undefined> {
  for (const piece of pieces) {
    const failure = await send(piece);
    if (failure) return failure;
  }
  return undefined;
}

/** With DF there is one chunk: a hole when all of it is one, or all the data. */
async function piecesOf(to: Transmission, request: Request): Promise<readonly Piece[]> {
  const whole = { offset: request.offset, length: request.length };
  const pieces = await readPieces(to.session.export.disk, whole, to.signal);
  return dontFragment(request) && pieces.length > 1 ? [{ ...whole, hole: false }] : pieces;
}

function dontFragment(request: Request): boolean {
  return (request.flags & CMD_FLAG.df) !== 0;
}

/** Reads one piece and queues its chunk; `sending` gets the promise of its having left. */
async function sendPiece(
  to: Transmission,
  request: Request,
  { piece, sending }: { readonly piece: Piece; readonly sending: Promise<void>[] },
): Promise<ReadFailure | undefined> {
  const { offset, length } = piece;
  const giveBack = await to.payload.take(piece.hole ? CHUNK_COST : Math.max(length, CHUNK_COST));
  try {
    const frame = { offset, length, last: offset + length === request.offset + request.length };
    if (piece.hole) {
      sending.push(to.output.send(holeChunk(request.cookie, frame)).then(giveBack));
    } else {
      const { data, release } = await readExactly(to, piece);
      const sent = to.output.send(dataChunkHead(request.cookie, frame), data);
      sending.push(sent.then(release).then(giveBack));
    }
    to.counters.bytesServed += length;
    return undefined;
  } catch (error) {
    giveBack();
    return { error, offset };
  }
}

/** Bytes of the disk, and what to call when they have left. */
interface Content {
  readonly data: Uint8Array;
  readonly release: () => void;
}

async function readExactly(
  { session, buffers, signal }: Transmission,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Content> {
  signal.throwIfAborted();
  const { disk } = session.export;
  if (disk.readInto) {
    const data = buffers.take(length);
    await disk.readInto(offset, data, signal);
    return { data, release: () => buffers.giveBack(data) };
  }
  const data = await disk.read(offset, length, signal);
  if (data.length === length) return { data, release: () => undefined };
  throw new RangeError(`${disk.name}: ${data.length} bytes came instead of ${length} at ${offset}`);
}
