import { TsbuilderError } from '../../errors.js';
import { type ByteSource, sliceSource } from '../../io/byte-source.js';
import { openFileSource } from '../../io/file-source.js';
import { guestEdits } from '../edit-files.js';
import type { Guest, GuestFiles } from '../guest.js';
import { type GuestOs, inspectGuest } from '../inspect.js';
import { oneAtATime } from '../../io/one-at-a-time.js';
import type { PartGuest, PendingCommit } from '../pending-commit.js';
import { guestFiles } from '../read-files.js';
import { labelFilesAt, labelNewFiles } from '../selinux/label-new-files.js';
import { openSpool } from '../spool.js';
import { type Tree, openTree } from '../tree.js';
import { checkCommit } from './check-commit.js';
import type { ExtTarget } from './e2fs-run.js';
import { extBase } from './ext-base.js';
import { planCommit } from './plan-commit.js';
import { recoverFilesystem } from './recover.js';
import { rememberingSource } from './remembering-source.js';
import { runCommit } from './run-commit.js';
import { eraseRemains, findRemains } from './scrub-blocks.js';
import { type ExtSuper, INCOMPAT, openExtVolume } from './volume.js';

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
  /** The open file that locks the disk, for the programs that change it to hold. */
  readonly lockFd?: number | undefined;
  /** It is mounted in a guest that has another root filesystem. */
  readonly within?: MountedWithin | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where a filesystem is mounted. */
export interface MountedWithin {
  /** The root filesystem, whose rules for labels count. */
  readonly root: Guest;
  /** The path of the mount point in the guest, without links. */
  readonly point: string;
}

const AUTORELABEL = '/.autorelabel';

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
 * @throws TSB_FILESYSTEM when it is no ext filesystem, is damaged or must not be written (with `details.reason` `other-filesystem`: but by Linux itself); TSB_TOOL_MISSING without e2fsprogs
 */
export async function openExtGuest(diskPath: string, options: ExtGuestOptions = {}): Promise<PartGuest> {
  const disk = await openFileSource(diskPath);
  try {
    const now = options.fakeTime ?? Math.floor(Date.now() / 1000);
    const target: ExtTarget = {
      diskPath,
      now,
      offset: options.offset ?? 0,
      sync: options.sync,
      lockFd: options.lockFd,
      signal: options.signal,
    };
    const { within } = options;
    const slice = sliceSource(disk, target.offset, options.length ?? disk.size - target.offset);
    const source = within ? { ...slice, name: `${slice.name} (${within.point})` } : slice;
    await prepare(source, target);
    return await extGuest({ disk, source, target, within });
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

/** With multiple mount protection e2fsck (1.47) cannot write an undo file, so that a change might not be taken back: Linux has to make it. */
function assertWritable(source: ByteSource, superblock: ExtSuper): void {
  if ((superblock.incompat & INCOMPAT.multipleMountProtection) !== 0) {
    throw new TsbuilderError(
      'TSB_FILESYSTEM',
      `${source.name}: the ext filesystem has multiple mount protection (mmp), with which it is not changed offline`,
      {
        hint: 'tune2fs -O ^mmp takes the feature away.',
        details: { reason: 'other-filesystem' },
      },
    );
  }
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

interface Opened {
  readonly disk: ByteSource;
  readonly source: ByteSource;
  readonly target: ExtTarget;
  readonly within: MountedWithin | undefined;
}

async function extGuest(from: Opened): Promise<PartGuest> {
  const { disk, source, target, within } = from;
  const fresh = async (): Promise<Tree> =>
    openTree(extBase(await openExtVolume(rememberingSource(source), target.signal)), target.now);
  let tree = await fresh();
  const serially = oneAtATime();
  const inside = guestFiles(
    () => tree,
    (job) => job(),
  );
  const os = await inspectGuest(inside);
  const spool = openSpool();
  const prepareCommit = (): Promise<PendingCommit | undefined> =>
    serially(async () => {
      const pending = await commit(tree, { os, files: inside, target, source, within });
      if (!pending) return undefined;
      const finish = async (): Promise<void> => {
        await pending.finish();
        tree = await fresh();
      };
      return { undo: () => serially(() => pending.undo()), finish: () => serially(finish) };
    });
  return {
    os,
    ...guestFiles(() => tree, serially),
    ...guestEdits(() => tree, serially, spool),
    prepareCommit,
    commit: async () => (await prepareCommit())?.finish(),
    [Symbol.asyncDispose]: async () => {
      await spool[Symbol.asyncDispose]();
      await disk[Symbol.asyncDispose]();
    },
  };
}

async function commit(
  tree: Tree,
  how: Omit<Opened, 'disk'> & { os: GuestOs; files: GuestFiles },
): Promise<PendingCommit | undefined> {
  const { target, source } = how;
  await label(tree, how);
  const plan = await planCommit(tree);
  if (plan.script.length === 0) return undefined;
  const remains = await findRemains(await openExtVolume(source, target.signal), plan.scrubbed);
  const pending = await runCommit(target, plan, {
    reread: async () => extBase(await openExtVolume(rememberingSource(source), target.signal)),
    compare: (base) => checkCommit(base, plan),
  });
  return {
    undo: () => pending.undo(),
    async finish() {
      await pending.finish();
      await eraseRemains(target, await openExtVolume(source, target.signal), remains);
    },
  };
}

/** Gives new files their SELinux labels, or asks the guest to. */
async function label(
  tree: Tree,
  { os, files, within }: Pick<Opened, 'within'> & { os: GuestOs; files: GuestFiles },
): Promise<void> {
  if (!within) return os.selinux && labelNewFiles(tree, files, os.selinux);
  const { root, point } = within;
  if (!root.os.selinux) return;
  const complete = await labelFilesAt(tree, { files: root, state: root.os.selinux, point });
  if (!complete && !(await root.exists(AUTORELABEL))) await root.writeFile(AUTORELABEL, '');
}
