import type { Guest } from '../../guest/guest.js';
import { fieldsOperation, guestPath } from '../files/argument.js';
import { copyTree } from '../files/copy-tree.js';
import { destination, lastName, sourceStat } from '../files/guest-files.js';

/** Copies inside the guest. */
export const copy = fieldsOperation({
  name: 'copy',
  argument: 'SOURCE:DEST',
  summary: 'Copy a file or a folder with all in it inside the guest.',
  fields: { source: guestPath, destination: guestPath },
  describe: ({ source, destination: to }) => `copy ${source} to ${to}`,
  apply: copyInside,
});

async function copyInside(guest: Guest, value: { source: string; destination: string }): Promise<void> {
  const { type } = await sourceStat(guest, value.source);
  const to = await destination(guest, value.destination, { name: lastName(value.source), type });
  await copyTree(guest, value.source, to);
}
