import type { Guest } from '../../guest/guest.js';
import { pathOperation } from '../files/argument.js';
import { expandGlob } from '../files/glob.js';
import { lstatIfThere } from '../files/guest-files.js';
import type { CustomizeContext } from '../operation-kind.js';

/** Deletes what a pattern matches. */
export const deletePath = pathOperation({
  name: 'delete',
  argument: 'PATH',
  summary: 'Delete files, or folders with all in them; * ? [...] and {...} are shell patterns.',
  describe: (path) => `delete ${path}`,
  apply: deleteMatches,
});

async function deleteMatches(guest: Guest, pattern: string, context: CustomizeContext): Promise<void> {
  const paths = await expandGlob(guest, pattern);
  if (paths.length === 0)
    context.warn(`delete ${pattern}: nothing in the guest matches, nothing was deleted`);
  for (const path of paths) {
    // One path that matches may have been in another one.
    if (await lstatIfThere(guest, path)) await guest.remove(path, { recursive: true });
  }
}
