import { errnoOf, messageOf } from '../errors.js';
import { CMD, ERRNO, type Errno } from './protocol.js';
import { errorChunk, simpleReply } from './reply-frames.js';
import type { Request } from './request-frame.js';
import type { Transmission } from './transmission-context.js';

const NO_SPACE = new Set(['TSB_NO_SPACE', 'ENOSPC', 'EDQUOT', 'EFBIG']);

const COMMAND_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(CMD).map(([name, number]) => [number, name]),
);

/** What clients are told; what exactly went wrong, with paths and all, is for the server's log only. */
const MESSAGES: Readonly<Record<Errno, string>> = {
  [ERRNO.none]: '',
  [ERRNO.perm]: 'the export is read-only',
  [ERRNO.io]: 'the disk could not be accessed here; the log of the server says why',
  [ERRNO.inval]: 'the request is not valid',
  [ERRNO.noSpace]: 'there is no space for this',
  [ERRNO.notSupported]: 'this is not supported',
};

/** Answers a request with an error. `offset`: the byte of the export from which on a read failed. */
export function replyError(
  to: Transmission,
  request: Request,
  failure: { readonly errno: Errno; readonly offset?: number | undefined },
): Promise<void> {
  to.counters.errors += 1;
  const chunked = request.type === CMD.read || request.type === CMD.blockStatus;
  return to.output.send(
    chunked && to.session.structured
      ? errorChunk(request.cookie, { ...failure, message: MESSAGES[failure.errno] })
      : simpleReply(request.cookie, failure.errno),
  );
}

/** Answers a request for which the disk threw `error`, and writes that to the log. */
export function replyFailure(
  to: Transmission,
  request: Request,
  failure: { readonly error: unknown; readonly offset?: number | undefined },
): Promise<void> {
  // The client has gone: nobody waits for an answer, and its leaving is no error.
  if (to.signal.aborted) return Promise.resolve();
  const { error, offset } = failure;
  const range = `${request.length} bytes at ${request.offset}`;
  const reason = messageOf(error);
  const { name } = to.session.export;
  const what = `${COMMAND_NAMES[request.type] ?? 'request'} of ${range}: ${reason}`;
  // Many requests fail for one reason, such as all those for one block.
  to.log(name === '' ? what : `${name}: ${what}`, JSON.stringify([name, reason]));
  return replyError(to, request, {
    errno: NO_SPACE.has(errnoOf(error) ?? '') ? ERRNO.noSpace : ERRNO.io,
    offset,
  });
}
