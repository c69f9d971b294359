import {
  changeAttributes,
  changeXattr,
  makeFolder,
  makeHardLink,
  makeNode,
  makeSymlink,
  remove,
  rename,
  scrub,
  writeFile,
} from './edit-tree.js';
import type { FileContent, Guest, GuestFiles } from './guest.js';
import type { Serially } from '../io/one-at-a-time.js';
import type { Spool } from './spool.js';
import type { Tree } from './tree.js';

/** The changing half of a {@link Guest}. */
export type GuestEdits = Omit<Guest, keyof GuestFiles | 'os' | 'commit' | keyof AsyncDisposable>;

/**
 * The changes to files over a tree in memory, one at a time and each on the tree that `tree` returns then. Content that is a stream is kept
 * in `spool`.
 */
export function guestEdits(tree: () => Tree, serially: Serially, spool: Spool): GuestEdits {
  const settle = async (content: FileContent | AsyncIterable<Uint8Array>): Promise<FileContent> =>
    isStream(content) ? spool.keep(content) : content;
  const change = (path: string, to: Parameters<typeof changeAttributes>[2]): Promise<void> =>
    serially(() => changeAttributes(tree(), path, to));
  return {
    // A stream may read from this guest, so it is read to its end before the tree's turn.
    async writeFile(path, content, attributes = {}) {
      const settled = await settle(content);
      await serially(() => writeFile(tree(), path, { content: settled, attributes }));
    },
    mkdir: (path, attributes = {}) => serially(() => makeFolder(tree(), path, attributes)),
    symlink: (target, path, attributes = {}) =>
      serially(() => makeSymlink(tree(), path, { target, attributes })),
    makeNode: (path, node, attributes = {}) => serially(() => makeNode(tree(), path, { node, attributes })),
    hardLink: (existing, path) => serially(() => makeHardLink(tree(), existing, path)),
    rename: (from, to) => serially(() => rename(tree(), from, to)),
    remove: (path, how) => serially(() => remove(tree(), path, how?.recursive ? 'recursive' : 'single')),
    scrub: (path) => serially(() => scrub(tree(), path)),
    chmod: (path, mode) => change(path, { mode }),
    chown: (path, owner) => change(path, owner),
    setTime: (path, mtime) => change(path, { mtime }),
    setXattr: (path, name, value) => serially(() => changeXattr(tree(), path, { name, value })),
    removeXattr: (path, name) => serially(() => changeXattr(tree(), path, { name, value: undefined })),
  };
}

function isStream(content: FileContent | AsyncIterable<Uint8Array>): content is AsyncIterable<Uint8Array> {
  return typeof content === 'object' && Symbol.asyncIterator in content;
}
