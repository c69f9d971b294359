import { pathOperation } from '../files/argument.js';

/** Removes a file and what it held. */
export const scrub = pathOperation({
  name: 'scrub',
  argument: 'FILE',
  of: 'file',
  summary:
    'Delete a file and overwrite its data in the image; the storage below may still keep older copies.',
  describe: (path) => `scrub ${path}`,
  apply: (guest, path) => guest.scrub(path),
});
