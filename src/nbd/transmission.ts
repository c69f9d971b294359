import { answerRead } from './answer-read.js';
import { answerCache, answerFlush, answerTrim, answerWrite, answerWriteZeroes } from './answer-write.js';
import { answerBlockStatus } from './block-status.js';
import { Budget } from './budget.js';
import { checkRequest } from './check-request.js';
import { replyError, replyFailure } from './failure.js';
import { CMD, ERRNO } from './protocol.js';
import { REQUEST_BYTES, type Request, parseRequest } from './request-frame.js';
import { type SocketInput, UnexpectedEnd } from './socket-input.js';
import type { Transmission } from './transmission-context.js';

/** Where requests come from, and until when. */
export interface RequestStream {
  readonly input: SocketInput;
  /** Requests that are worked on, or whose reply is on its way, at once. */
  readonly maxRequests: number;
  /** No further requests are taken once it is aborted. */
  readonly stop: AbortSignal;
  /** Called when no more requests will come, but answers are still waited for. */
  readonly drain: () => void;
  /** Called when the client left without a word: it does not wait for answers any more. */
  readonly abandon: () => void;
}

/**
 * Answers requests ("Transmission" of the NBD protocol) until the client disconnects or `stop` is aborted. Resolves, or throws, only
 * when all that were taken have been answered.
 *
 * @throws ProtocolViolation for what is no request, UnexpectedEnd when the client left in the middle of one
 */
export async function transmit(to: Transmission, stream: RequestStream): Promise<void> {
  const inFlight = new Set<Promise<void>>();
  let farewell = false;
  try {
    farewell = await takeRequests(to, stream, inFlight);
  } finally {
    if (farewell || stream.stop.aborted) stream.drain();
    else stream.abandon();
    await Promise.all(inFlight);
  }
}

/**
 * Requests are answered side by side, each when it is ready; while there are too many, the next one is not even received.
 *
 * @returns whether the client said that it would go
 */
async function takeRequests(
  to: Transmission,
  { input, maxRequests, stop }: RequestStream,
  inFlight: Set<Promise<void>>,
): Promise<boolean> {
  const slots = new Budget(maxRequests);
  while (!stop.aborted) {
    const leave = await slots.take(1);
    const frame = await input.read(REQUEST_BYTES);
    if (!frame) return false;
    const request = parseRequest(frame);
    if (request.type === CMD.disconnect) return true;
    const work = await receive(to, request, input);
    const task = answer(to, request, work).then(() => {
      inFlight.delete(task);
      leave();
    });
    inFlight.add(task);
  }
  return false;
}

/** An answer that is still to be made. It rejects only for faults of the disk. */
type Work = () => Promise<void>;

async function answer(to: Transmission, request: Request, work: Work): Promise<void> {
  to.counters.requests += 1;
  try {
    await work();
  } catch (error) {
    await replyFailure(to, request, { error });
  }
}

/** Judges a request and takes the data that comes with it from the input; that of a request that is refused is not kept. */
async function receive(to: Transmission, request: Request, input: SocketInput): Promise<Work> {
  const errno = checkRequest(to.session, request);
  if (errno !== ERRNO.none) {
    if (request.type === CMD.write) await input.skip(request.length);
    return () => replyError(to, request, { errno });
  }
  return request.type === CMD.write ? receiveWrite(to, request, input) : () => perform(to, request);
}

async function receiveWrite(to: Transmission, request: Request, input: SocketInput): Promise<Work> {
  const giveBack = await to.payload.take(request.length);
  try {
    const data = await input.read(request.length);
    if (!data) throw new UnexpectedEnd(request.length);
    return () => answerWrite(to, request, data).finally(giveBack);
  } catch (error) {
    giveBack();
    throw error;
  }
}

function perform(to: Transmission, request: Request): Promise<void> {
  switch (request.type) {
    case CMD.read:
      return answerRead(to, request);
    case CMD.flush:
      return answerFlush(to, request);
    case CMD.trim:
      return answerTrim(to, request);
    case CMD.cache:
      return answerCache(to, request);
    case CMD.writeZeroes:
      return answerWriteZeroes(to, request);
    case CMD.blockStatus:
      return answerBlockStatus(to, request);
    default:
      return replyError(to, request, { errno: ERRNO.inval });
  }
}
