import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TsbuilderError } from '../errors.js';
import { dataRanges } from '../image/extents.js';
import { writeFully, writeZeros } from '../image/write-fully.js';
import { splitZeroRuns } from '../image/zero.js';
import { readFully } from '../io/file-source.js';
import { formatSize } from '../io/format-size.js';
import { assertFreeSpace, writeError } from '../io/free-space.js';
import type { Progress } from '../progress.js';
import type { ResizePlan } from '../resize/plan-resize.js';

const CHUNK = 4 * 1024 * 1024;

/** What the tables and the metadata of a grown filesystem take: a fixed part, and a share of the growth. */
const METADATA = { bytes: 4 * 1024 * 1024, share: 1 / 1024 };

/**
 * Passes when the filesystem that the disk file `path` is on has room for what `applyInPlace` and growing will add to it.
 *
 * @throws TSB_NO_SPACE
 */
export async function assertRoomInPlace(path: string, resize: ResizePlan): Promise<void> {
  await using handle = await open(path, 'r');
  const ranges = [...dataRanges(handle.fd, resize.sourceSize)];
  let needed = METADATA.bytes + (resize.targetSize - resize.sourceSize) * METADATA.share;
  for (const { from, length } of movesOf(resize)) {
    for (const range of ranges) {
      const end = Math.min(from + length, range.offset + range.length);
      needed += Math.max(0, end - Math.max(from, range.offset));
    }
  }
  await assertFreeSpace(dirname(path), Math.ceil(needed));
}

function movesOf(resize: ResizePlan): readonly Move[] {
  return resize.copies.filter(({ from, to }) => from !== to);
}

/**
 * Carries out `resize` on the raw disk at `path` itself: the file grows, partitions that move are copied to their new
 * places, and only when those copies are on stable storage are the tables switched. Until then the old table is
 * valid, so an interruption loses nothing.
 *
 * @throws TSB_USAGE when a partition's new place overlaps its old one: a crash could then lose it
 */
export async function applyInPlace(
  path: string,
  resize: ResizePlan,
  options: { progress: Progress; signal: AbortSignal },
): Promise<void> {
  const moves = movesOf(resize);
  assertSafeMoves(path, resize, moves);
  const handle = await open(path, 'r+');
  try {
    await prepare(path, handle, { resize, moves, ...options });
    // From the end to the start, each on stable storage before the next: the backup table is whole before the primary
    // one is touched, and what leads to the other tables comes last.
    for (const { offset, data } of [...resize.literals].sort((a, b) => b.offset - a.offset)) {
      await writeFully({ path, handle }, offset, data);
      await handle.sync();
    }
  } finally {
    await handle.close();
  }
}

interface Preparation {
  readonly resize: ResizePlan;
  readonly moves: readonly Move[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Everything before the tables are switched; a failure gives the file its old length back. */
async function prepare(path: string, handle: FileHandle, work: Preparation): Promise<void> {
  try {
    await handle.truncate(work.resize.targetSize);
    await copyMoves(path, handle, work);
    await handle.sync();
    work.signal.throwIfAborted();
  } catch (error) {
    await handle.truncate(work.resize.sourceSize);
    throw writeError(path, error);
  }
}

type Move = ResizePlan['copies'][number];

/** A move is safe when it writes only behind the old end of the disk or into space that no copied range occupies. */
function assertSafeMoves(path: string, resize: ResizePlan, moves: readonly Move[]): void {
  for (const move of moves) {
    const hit = resize.copies.find(
      ({ from, length }) => move.to < from + length && from < move.to + move.length,
    );
    if (!hit) continue;
    throw new TsbuilderError(
      'TSB_USAGE',
      `${path}: a partition would move from ${formatSize(move.from)} to ${formatSize(move.to)}, over data that is still needed`,
      {
        hint: 'Grow by more than the size of the partitions behind, or write to a second disk instead of --in-place.',
      },
    );
  }
}

async function copyMoves(path: string, handle: FileHandle, work: Preparation): Promise<void> {
  const total = work.moves.reduce((sum, { length }) => sum + length, 0);
  if (total === 0) return;
  using step = work.progress.step('Moving partitions', total);
  const buffer = Buffer.allocUnsafeSlow(CHUNK);
  for (const { from, to, length } of work.moves) {
    for (let done = 0; done < length; done += CHUNK) {
      const data = buffer.subarray(0, Math.min(CHUNK, length - done));
      await readFully(path, handle, { data, offset: from + done, signal: work.signal });
      for (const run of splitZeroRuns(data, to + done)) {
        if (run.data) await writeFully({ path, handle }, run.offset, run.data);
        // Behind the old end all is a hole, which reads as zeros and takes no room.
        else if (run.offset < work.resize.sourceSize)
          await writeZeros({ path, handle }, run.offset, run.length);
      }
      step.advance(data.length);
    }
  }
}
