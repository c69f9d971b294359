import type { Guest } from '../../guest/guest.js';
import { pathOperation } from '../files/argument.js';
import { guestError } from '../files/guest-files.js';
import type { CustomizeContext } from '../operation-kind.js';

/** Makes an empty file, or gives one the present time. */
export const touch = pathOperation({
  name: 'touch',
  argument: 'FILE',
  of: 'file',
  summary: 'Make an empty file, or set the time of one that is there to now.',
  describe: (path) => `touch ${path}`,
  apply: touchFile,
});

async function touchFile(guest: Guest, path: string, context: CustomizeContext): Promise<void> {
  if (!(await guest.exists(path))) return guest.writeFile(path, '', { mtime: context.now });
  const { type } = await guest.stat(path);
  if (type !== 'file')
    throw guestError(guest, path, { text: `a ${type}, not a regular file`, reason: 'not-file' });
  await guest.setTime(path, context.now);
}
