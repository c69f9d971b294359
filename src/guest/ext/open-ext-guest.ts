import { TsbuilderError } from '../../errors.js';
import { type ByteSource, sliceSource } from '../../io/byte-source.js';
import { openFileSource } from '../../io/file-source.js';
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
} from '../edit-tree.js';
import type { FileContent, Guest, GuestFiles } from '../guest.js';
import { type GuestOs, inspectGuest } from '../inspect.js';
import { guestFiles } from '../read-files.js';
import { labelNewFiles } from '../selinux/label-new-files.js';
import { openSpool } from '../spool.js';
import { type Tree, openTree } from '../tree.js';
import { checkCommit } from './check-commit.js';
import type { ExtTarget } from './e2fs-run.js';
import { extBase } from './ext-base.js';
import { planCommit } from './plan-commit.js';
import { recoverFilesystem } from './recover.js';
import { runCommit } from './run-commit.js';
import { eraseRemains, findRemains } from './scrub-blocks.js';
import { type ExtSuper, openExtVolume } from './volume.js';

/** Which filesystem of a disk to open, and how. */
export interface ExtGuestOptions {
  /** Where it begins in the disk, bytes. Default 0. */
  readonly offset?: number | undefined;
  /** How many bytes its partition has. Default: up to the disk's end. */
  readonly length?: number | undefined;
  /** The present, seconds since 1970, for every time that is written: the same disk is made twice. Default: now. */
  readonly fakeTime?: number | undefined;
  /** Flush what is written to the disk. Default: no. */
  readonly sync?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Features that forbid writing or that e2fsprogs' debugfs cannot keep true: unknown ones, `read-only`, `shared_blocks`. */
const WRITABLE_RO_COMPAT =
  0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x8000 | 0x10000;

/**
 * The files of the ext2/3/4 filesystem that `source` holds from its first byte, for reading only: a slice of any disk,
 * also one that is decoded on the fly. Writes that are still in its journal are not seen.
 *
 * @throws TSB_FILESYSTEM when it is no ext filesystem or is damaged
 */
export async function openExtFiles(source: ByteSource, signal?: AbortSignal): Promise<GuestFiles> {
  const tree = openTree(extBase(await openExtVolume(source, signal)), 0);
  return guestFiles(() => tree, oneAtATime());
}

/**
 * Opens the guest on an ext2/3/4 filesystem inside a raw disk: without root, without a virtual machine. A filesystem that was
 * not unmounted cleanly is recovered first (`e2fsck -p`), which is the only write before `commit()`.
 *
 * @throws TSB_FILESYSTEM when it is no ext filesystem, is damaged or must not be written; TSB_TOOL_MISSING without e2fsprogs
 */
export async function openExtGuest(diskPath: string, options: ExtGuestOptions = {}): Promise<Guest> {
  const disk = await openFileSource(diskPath);
  try {
    const now = options.fakeTime ?? Math.floor(Date.now() / 1000);
    const target: ExtTarget = {
      diskPath,
      now,
      offset: options.offset ?? 0,
      sync: options.sync,
      signal: options.signal,
    };
    const source = sliceSource(disk, target.offset, options.length ?? disk.size - target.offset);
    await prepare(source, target);
    return await extGuest({ disk, source, target });
  } catch (error) {
    await disk[Symbol.asyncDispose]();
    throw error;
  }
}

async function prepare(source: ByteSource, target: ExtTarget): Promise<void> {
  const { super: superblock } = await openExtVolume(source, target.signal);
  assertWritable(source, superblock);
  if (superblock.needsRecovery || !superblock.clean) await recoverFilesystem(target);
}

function assertWritable(source: ByteSource, superblock: ExtSuper): void {
  const forbidden = superblock.roCompat & ~WRITABLE_RO_COMPAT;
  if (forbidden === 0) return;
  throw new TsbuilderError(
    'TSB_FILESYSTEM',
    `${source.name}: the ext filesystem is read-only by its features 0x${forbidden.toString(16)}`,
    {
      hint: 'It can be copied, but not changed.',
    },
  );
}

async function extGuest(from: { disk: ByteSource; source: ByteSource; target: ExtTarget }): Promise<Guest> {
  const { disk, source, target } = from;
  const fresh = async (): Promise<Tree> =>
    openTree(extBase(await openExtVolume(source, target.signal)), target.now);
  let tree = await fresh();
  const serially = oneAtATime();
  const inside = guestFiles(
    () => tree,
    (job) => job(),
  );
  const os = await inspectGuest(inside);
  const spool = openSpool();
  const settle = async (content: FileContent | AsyncIterable<Uint8Array>): Promise<FileContent> =>
    isStream(content) ? spool.keep(content) : content;
  return {
    os,
    ...guestFiles(() => tree, serially),
    // A stream may read from this guest, so it is read to its end before the tree's turn.
    async writeFile(path, content, attributes = {}) {
      const settled = await settle(content);
      await serially(() => writeFile(tree, path, { content: settled, attributes }));
    },
    mkdir: (path, attributes = {}) => serially(() => makeFolder(tree, path, attributes)),
    symlink: (to, path, attributes = {}) =>
      serially(() => makeSymlink(tree, path, { target: to, attributes })),
    makeNode: (path, node, attributes = {}) => serially(() => makeNode(tree, path, { node, attributes })),
    hardLink: (existing, path) => serially(() => makeHardLink(tree, existing, path)),
    rename: (old, path) => serially(() => rename(tree, old, path)),
    remove: (path, how) => serially(() => remove(tree, path, how?.recursive ? 'recursive' : 'single')),
    scrub: (path) => serially(() => scrub(tree, path)),
    chmod: (path, mode) => serially(() => changeAttributes(tree, path, { mode })),
    chown: (path, owner) => serially(() => changeAttributes(tree, path, owner)),
    setTime: (path, mtime) => serially(() => changeAttributes(tree, path, { mtime })),
    setXattr: (path, name, value) => serially(() => changeXattr(tree, path, { name, value })),
    removeXattr: (path, name) => serially(() => changeXattr(tree, path, { name, value: undefined })),
    commit: () =>
      serially(async () => {
        await commit(tree, { os, files: inside, target, source, reread: fresh });
        tree = await fresh();
      }),
    [Symbol.asyncDispose]: async () => {
      await spool[Symbol.asyncDispose]();
      await disk[Symbol.asyncDispose]();
    },
  };
}

async function commit(
  tree: Tree,
  how: {
    os: GuestOs;
    files: GuestFiles;
    target: ExtTarget;
    source: ByteSource;
    reread: () => Promise<Tree>;
  },
): Promise<void> {
  const { target, source } = how;
  if (how.os.selinux) await labelNewFiles(tree, how.files, how.os.selinux);
  const plan = await planCommit(tree);
  if (plan.script.length === 0) return;
  const remains = await findRemains(await openExtVolume(source, target.signal), plan.scrubbed);
  await runCommit(target, plan, async () => checkCommit((await how.reread()).base, plan));
  await eraseRemains(target, await openExtVolume(source, target.signal), remains);
}

function isStream(content: FileContent | AsyncIterable<Uint8Array>): content is AsyncIterable<Uint8Array> {
  return typeof content === 'object' && Symbol.asyncIterator in content;
}

/** Runs jobs one after the other, in the order in which they were given; one that fails does not stop the next. */
function oneAtATime(): <T>(job: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (job) => {
    const result = last.then(job);
    last = result.catch(() => undefined);
    return result;
  };
}
