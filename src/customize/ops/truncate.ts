import type { Guest } from '../../guest/guest.js';
import { pathOperation } from '../files/argument.js';
import { inside, unreachableName } from '../files/guest-files.js';

/** Empties a file. */
export const truncate = pathOperation({
  name: 'truncate',
  argument: 'FILE',
  of: 'file',
  summary: 'Make a file empty that is there already.',
  describe: (path) => `truncate ${path}`,
  async apply(guest, path) {
    await guest.stat(path);
    await guest.writeFile(path, '');
  },
});

/** Empties all files of a folder. */
export const truncateRecursive = pathOperation({
  name: 'truncate-recursive',
  argument: 'PATH',
  summary: 'Make all files below a folder empty; links are not followed.',
  describe: (path) => `truncate all files below ${path}`,
  apply: truncateBelow,
});

async function truncateBelow(guest: Guest, folder: string): Promise<void> {
  const todo = [folder];
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    for (const { name, rawName, stat } of await guest.entries(path, { details: true })) {
      if (stat?.type !== 'file' && stat?.type !== 'directory') continue;
      if (name === undefined) throw unreachableName(guest, path, rawName);
      if (stat.type === 'directory') todo.push(inside(path, name));
      else await guest.writeFile(inside(path, name), '');
    }
  }
}
