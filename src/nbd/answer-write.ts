import { type WritableDisk, isWritable } from '../io/disk-source.js';
import { replyError } from './failure.js';
import { CMD_FLAG, ERRNO } from './protocol.js';
import { simpleReply } from './reply-frames.js';
import type { Request } from './request-frame.js';
import type { Transmission } from './transmission-context.js';

/** Answers `NBD_CMD_WRITE`. A write is finished even when the client does not wait for it. */
export async function answerWrite(to: Transmission, request: Request, data: Uint8Array): Promise<void> {
  await writableDisk(to).write(request.offset, data);
  to.counters.bytesWritten += data.length;
  await acknowledgeWrite(to, request);
}

/** Answers `NBD_CMD_TRIM`: a trimmed range reads as zeros. */
export async function answerTrim(to: Transmission, request: Request): Promise<void> {
  await writableDisk(to).zero(request.offset, request.length, { punch: true });
  await acknowledgeWrite(to, request);
}

/** Answers `NBD_CMD_WRITE_ZEROES`. With NO_HOLE zeroing may be as slow as writing, which FAST_ZERO forbids. */
export async function answerWriteZeroes(to: Transmission, request: Request): Promise<void> {
  const punch = (request.flags & CMD_FLAG.noHole) === 0;
  const fast = (request.flags & CMD_FLAG.fastZero) !== 0;
  if (fast && !punch) return replyError(to, request, { errno: ERRNO.notSupported });
  await writableDisk(to).zero(request.offset, request.length, { punch });
  return acknowledgeWrite(to, request);
}

/** Answers `NBD_CMD_FLUSH`. */
export async function answerFlush(to: Transmission, request: Request): Promise<void> {
  await writableDisk(to).flush();
  await acknowledge(to, request);
}

/** Answers `NBD_CMD_CACHE`. */
export async function answerCache(to: Transmission, request: Request): Promise<void> {
  await to.session.export.disk.prefetch?.(request.offset, request.length, to.signal);
  await acknowledge(to, request);
}

async function acknowledgeWrite(to: Transmission, request: Request): Promise<void> {
  if ((request.flags & CMD_FLAG.fua) !== 0) await writableDisk(to).flush();
  await acknowledge(to, request);
}

function acknowledge(to: Transmission, request: Request): Promise<void> {
  return to.output.send(simpleReply(request.cookie, ERRNO.none));
}

/** Requests were checked before: a read-only export never comes here. */
function writableDisk(to: Transmission): WritableDisk {
  const { disk } = to.session.export;
  if (!isWritable(disk)) throw new TypeError(`${disk.name}: is not writable`);
  return disk;
}
