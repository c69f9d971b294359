import { stat, truncate } from 'node:fs/promises';
import type { ExtTarget } from './e2fs-run.js';

const ROOM = 1024 * 1024;

/**
 * Lets an undo file be written for a filesystem inside a disk. e2fsprogs 1.47.0 counts the offset twice when it saves
 * the superblock, and fails where that place, harmless otherwise, is behind the end of the disk. So a disk that is a file is made
 * longer (by a hole, which costs nothing) until the returned object is disposed.
 */
export async function openUndoRoom(target: ExtTarget): Promise<AsyncDisposable> {
  const found = await stat(target.diskPath);
  const needed = target.offset * 2 + ROOM;
  const grow = found.isFile() && found.size < needed;
  if (grow) await truncate(target.diskPath, needed);
  return {
    [Symbol.asyncDispose]: async () => {
      if (grow) await truncate(target.diskPath, found.size);
    },
  };
}
