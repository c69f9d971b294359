import { commitToAppliance } from './appliance-commit.js';
import type { ApplianceBase } from './appliance-base.js';
import type { GuestfishShell } from './appliance-shell.js';
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
import type { FileContent, Guest } from './guest.js';
import type { GuestOs } from './inspect.js';
import { oneAtATime } from './one-at-a-time.js';
import { guestFiles } from './read-files.js';
import { labelNewFiles } from './selinux/label-new-files.js';
import { openSpool } from './spool.js';
import { type Tree, openTree } from './tree.js';

/** What a guest over an appliance works with. */
export interface ApplianceGuestContext {
  readonly os: GuestOs;
  readonly shell: GuestfishShell;
  /** A folder of this machine for files on their way. */
  readonly folder: string;
  /** Seconds since 1970. */
  readonly now: number;
  /** What the appliance has mounted, as it is now. */
  readonly base: ApplianceBase;
  /** The same after a commit. */
  readonly refresh: () => Promise<ApplianceBase>;
}

/** A {@link Guest} over what is mounted in an appliance. */
export function applianceGuest(context: ApplianceGuestContext): Guest {
  const { os, now } = context;
  let { base } = context;
  let tree = openTree(base, now);
  const current = (): Tree => tree;
  const serially = oneAtATime();
  const spool = openSpool();
  const settle = async (content: FileContent | AsyncIterable<Uint8Array>): Promise<FileContent> =>
    isStream(content) ? spool.keep(content) : content;
  const change = (path: string, to: Parameters<typeof changeAttributes>[2]): Promise<void> =>
    serially(() => changeAttributes(current(), path, to));
  return {
    os,
    ...guestFiles(current, serially),
    async writeFile(path, content, attributes = {}) {
      const settled = await settle(content);
      await serially(() => writeFile(current(), path, { content: settled, attributes }));
    },
    mkdir: (path, options = {}) => serially(() => makeFolder(current(), path, options)),
    symlink: (target, path, attributes = {}) =>
      serially(() => makeSymlink(current(), path, { target, attributes })),
    makeNode: (path, node, attributes = {}) =>
      serially(() => makeNode(current(), path, { node, attributes })),
    hardLink: (existing, path) => serially(() => makeHardLink(current(), existing, path)),
    rename: (from, to) => serially(() => rename(current(), from, to)),
    remove: (path, how) => serially(() => remove(current(), path, how?.recursive ? 'recursive' : 'single')),
    scrub: (path) => serially(() => scrub(current(), path)),
    chmod: (path, mode) => change(path, { mode }),
    chown: (path, owner) => change(path, owner),
    setTime: (path, mtime) => change(path, { mtime }),
    setXattr: (path, attribute, value) =>
      serially(() => changeXattr(current(), path, { name: attribute, value })),
    removeXattr: (path, attribute) =>
      serially(() => changeXattr(current(), path, { name: attribute, value: undefined })),
    commit: () =>
      serially(async () => {
        const inside = guestFiles(current, (job) => job());
        if (os.selinux) await labelNewFiles(tree, inside, os.selinux);
        base = await commitToAppliance({ base, tree }, context);
        tree = openTree(base, now);
      }),
    [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
  };
}

function isStream(content: FileContent | AsyncIterable<Uint8Array>): content is AsyncIterable<Uint8Array> {
  return typeof content === 'object' && Symbol.asyncIterator in content;
}
