import * as v from 'valibot';
import type { Guest } from '../../guest/guest.js';
import { fieldsOperation, guestPath } from '../files/argument.js';

/** The largest number of an owner; the next one means nobody to chown(2). */
const MAX_ID = 0xfffffffe;

const SET_UID = 0o4000;
const SET_GID = 0o2000;
const GROUP_EXECUTE = 0o010;

const id = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number))], 'must be a number'),
  v.integer('must be a whole number'),
  v.minValue(0, 'must not be negative'),
  v.maxValue(MAX_ID, `is more than ${MAX_ID}, the largest number of an owner`),
);

/** Sets the owner. */
export const chown = fieldsOperation({
  name: 'chown',
  argument: 'UID:GID:PATH',
  summary: 'Set the owner and group of a file, by number.',
  fields: { uid: id, gid: id, path: guestPath },
  describe: ({ uid, gid, path }) => `give ${path} to ${uid}:${gid}`,
  apply: setOwner,
});

/** As Linux does: a program must not run as its new owner, or with rights that its old one had given it. */
async function setOwner(guest: Guest, value: { uid: number; gid: number; path: string }): Promise<void> {
  const { uid, gid, path } = value;
  await guest.chown(path, { uid, gid });
  const { type, mode } = await guest.stat(path);
  if (type !== 'file') return;
  const dropped = SET_UID | (mode & GROUP_EXECUTE ? SET_GID : 0);
  if (mode & dropped) await guest.chmod(path, mode & ~dropped);
  await guest.removeXattr(path, 'security.capability');
}
