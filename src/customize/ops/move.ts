import { TsbuilderError } from '../../errors.js';
import type { Guest } from '../../guest/guest.js';
import { fieldsOperation, guestPath } from '../files/argument.js';
import { copyTree } from '../files/copy-tree.js';
import { destination, guestError, inside, lastName, lstatIfThere, sourceStat } from '../files/guest-files.js';

/** Moves inside the guest. */
export const move = fieldsOperation({
  name: 'move',
  argument: 'SOURCE:DEST',
  summary: 'Move or rename a file or a folder inside the guest.',
  fields: { source: guestPath, destination: guestPath },
  describe: ({ source, destination: to }) => `move ${source} to ${to}`,
  apply: moveInside,
});

/** As `mv` does: into a folder that is there, over a file, but never a folder over something with content. */
async function moveInside(guest: Guest, value: { source: string; destination: string }): Promise<void> {
  const { source } = value;
  const stat = await sourceStat(guest, source);
  const to = await destination(guest, value.destination, { name: lastName(source), type: stat.type });
  const there = await lstatIfThere(guest, to);
  if (stat.type === 'directory' && there) {
    if (there.type !== 'directory')
      throw guestError(guest, to, { text: `no folder, as ${source} is`, reason: 'not-folder' });
    const into = inside(await guest.realPath(to), '');
    if (into.startsWith(inside(await guest.realPath(source), ''))) {
      throw guestError(guest, to, { text: `is ${source} itself, or inside it`, reason: 'unsupported' });
    }
    await guest.remove(to);
  }
  await renameOrCopy(guest, source, to);
}

/** A name cannot go from one filesystem to another, so there all of it is copied and the original removed. */
async function renameOrCopy(guest: Guest, source: string, to: string): Promise<void> {
  try {
    await guest.rename(source, to);
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.details['reason'] !== 'other-filesystem') throw error;
    // Also a link: it is replaced, not what it leads to.
    if (await lstatIfThere(guest, to)) await guest.remove(to);
    await copyTree(guest, source, to);
    await guest.remove(source, { recursive: true });
  }
}
