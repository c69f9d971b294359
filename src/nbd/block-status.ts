import { messageOf } from '../errors.js';
import type { DiskExtent, ExtentKind } from '../io/disk-source.js';
import { knownExtents } from './disk-extents.js';
import { BASE_ALLOCATION, CMD_FLAG, STATE } from './protocol.js';
import { blockStatusChunk } from './reply-frames.js';
import type { Request } from './request-frame.js';
import type { Transmission } from './transmission-context.js';

/** Most extents in one reply: 32 KiB of it. Clients ask again for what is missing. */
const MAX_DESCRIPTORS = 4096;

const STATUS: Readonly<Record<ExtentKind, number>> = {
  data: 0,
  zero: STATE.zero,
  hole: STATE.hole | STATE.zero,
};

/** Answers `NBD_CMD_BLOCK_STATUS` for `base:allocation`. A disk that cannot tell is data: what is wrong with it shows when it is read. */
export async function answerBlockStatus(to: Transmission, request: Request): Promise<void> {
  const extents = await extentsOf(to, request);
  const descriptors = extents.map(({ length, kind }) => ({ length, flags: STATUS[kind] }));
  await to.output.send(blockStatusChunk(request.cookie, BASE_ALLOCATION.id, descriptors));
}

async function extentsOf(to: Transmission, request: Request): Promise<DiskExtent[]> {
  const { offset, length, flags } = request;
  try {
    return await knownExtents(to.session.export.disk, {
      offset,
      length,
      limit: (flags & CMD_FLAG.reqOne) !== 0 ? 1 : MAX_DESCRIPTORS,
      same: (a, b) => a.kind === b.kind,
      signal: to.signal,
    });
  } catch (error) {
    to.signal.throwIfAborted();
    const { name } = to.session.export;
    const where = name === '' ? '' : `${name}: `;
    to.log(`${where}extents of ${length} bytes at ${offset}: ${messageOf(error)}`);
    return [{ offset, length, kind: 'data' }];
  }
}
