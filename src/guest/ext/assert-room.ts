import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assertFreeSpace } from '../../io/free-space.js';
import { forEachParallel } from '../../io/parallel.js';
import type { FileContent } from '../guest.js';
import type { ExtTarget } from './e2fs-run.js';
import type { CommitPlan } from './plan-commit.js';

/** What each changed or new file takes besides its content, at most: its part of a table of inodes, and of a folder. */
const PER_FILE = 8192;
/** Bitmaps, journal and what else is written once. */
const FOR_ALL = 1024 * 1024;

const SECTOR = 512;

/**
 * Checks before anything is written that the filesystem below the disk has room for what a commit writes into holes of the disk's file. debugfs
 * does not stop where it finds none, and its undo file then lacks what it wrote afterwards.
 *
 * @throws TSB_NO_SPACE
 */
export async function assertRoom(target: ExtTarget, plan: CommitPlan): Promise<void> {
  const found = await stat(target.diskPath);
  const holes = found.isFile() ? Math.max(0, found.size - found.blocks * SECTOR) : 0;
  if (holes === 0) return;
  const needed = FOR_ALL + (plan.added.length + plan.changed.length) * PER_FILE + (await contentBytes(plan));
  await assertFreeSpace(dirname(target.diskPath), Math.min(holes, needed));
}

/** What the contents of new files take; holes in files of this machine stay holes. */
async function contentBytes({ inputs, hostFiles }: CommitPlan): Promise<number> {
  let sum = 0;
  const add = async (content: FileContent): Promise<void> => {
    if (typeof content === 'string') sum += Buffer.byteLength(content);
    else if (content instanceof Uint8Array) sum += content.length;
    else sum += await hostBytes(content.hostFile);
  };
  await forEachParallel([...inputs.values(), ...hostFiles.map((hostFile) => ({ hostFile }))], add, {
    jobs: 8,
  });
  return sum;
}

/** A file that is gone meanwhile is told of where it is to be read. */
async function hostBytes(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found ? Math.min(found.size, found.blocks * SECTOR) : 0;
}
