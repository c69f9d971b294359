import { pathOperation } from '../files/argument.js';

/** Makes a folder. */
export const mkdir = pathOperation({
  name: 'mkdir',
  argument: 'DIR',
  summary: 'Make a folder and those above it that are missing; one that is there already is fine.',
  describe: (path) => `make the folder ${path}`,
  apply: (guest, path) => guest.mkdir(path, { parents: true }),
});
