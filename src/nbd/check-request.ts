import type { Session } from './negotiation.js';
import { BLOCK_SIZE, CMD, CMD_FLAG, ERRNO, type Errno, FLAG } from './protocol.js';
import type { Request } from './request-frame.js';

/** What is special about a command. `reach`: the error for a range that is not inside the export. */
interface CommandRule {
  /** The transmission flag without which the command is not served. */
  readonly needs?: number;
  readonly flags?: number;
  readonly writes?: boolean;
  readonly reach: Errno;
  readonly payload?: boolean;
}

const RULES: Readonly<Record<number, CommandRule>> = {
  [CMD.read]: { flags: CMD_FLAG.df, reach: ERRNO.inval, payload: true },
  [CMD.write]: { writes: true, reach: ERRNO.noSpace, payload: true },
  [CMD.trim]: { writes: true, reach: ERRNO.inval },
  [CMD.cache]: { needs: FLAG.sendCache, reach: ERRNO.inval },
  [CMD.writeZeroes]: { flags: CMD_FLAG.noHole | CMD_FLAG.fastZero, writes: true, reach: ERRNO.noSpace },
  [CMD.blockStatus]: { flags: CMD_FLAG.reqOne, reach: ERRNO.inval },
};

/**
 * Judges a request before anything is done for it ("Request types" and "Error values" of the NBD protocol). Everything behind may take
 * its range to be inside the export.
 *
 * @returns `ERRNO.none` when it can be served
 */
export function checkRequest(session: Session, request: Request): Errno {
  if (request.type === CMD.flush) return checkFlush(session, request);
  const rule = RULES[request.type];
  if (!rule) return ERRNO.inval;
  if (rule.writes && (session.flags & FLAG.readOnly) !== 0) return ERRNO.perm;
  if (rule.needs !== undefined && (session.flags & rule.needs) === 0) return ERRNO.inval;
  if (request.type === CMD.blockStatus && !session.blockStatus) return ERRNO.inval;
  if ((request.flags & ~knownFlags(session, rule.flags ?? 0)) !== 0) return ERRNO.inval;
  if (request.length === 0) return ERRNO.inval;
  if (rule.payload && request.length > BLOCK_SIZE.maximum) return ERRNO.inval;
  return request.offset + request.length > session.export.disk.size ? rule.reach : ERRNO.none;
}

function checkFlush(session: Session, request: Request): Errno {
  const offered = (session.flags & FLAG.sendFlush) !== 0;
  const plain = request.offset === 0 && request.length === 0;
  return offered && plain && (request.flags & ~knownFlags(session, 0)) === 0 ? ERRNO.none : ERRNO.inval;
}

/** Of the `possible` flags of a command those that were offered, and FUA, which goes with every command where it was offered. */
function knownFlags(session: Session, possible: number): number {
  let known = possible;
  if ((session.flags & FLAG.sendDf) === 0) known &= ~CMD_FLAG.df;
  if ((session.flags & FLAG.sendFastZero) === 0) known &= ~CMD_FLAG.fastZero;
  if ((session.flags & FLAG.sendFua) !== 0) known |= CMD_FLAG.fua;
  return known;
}
