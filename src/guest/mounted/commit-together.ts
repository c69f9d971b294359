import { TsbuilderError, messageOf } from '../../errors.js';
import type { PendingCommit } from '../pending-commit.js';

/** One of several filesystems that change together. */
export interface CommitPart {
  /** Where it is mounted, for messages. */
  readonly point: string;
  /** Brings the changes to the disk; undefined when there are none. Leaves the filesystem unchanged when it throws. */
  prepare(): Promise<PendingCommit | undefined>;
}

/**
 * Commits the changes of several filesystems: all of them or none. Each is written and checked in the order given; when one fails, those
 * before it are taken back.
 *
 * @throws what the failing part throws, with its mount point; TSB_GUEST when taking back fails too
 */
export async function commitTogether(parts: readonly CommitPart[]): Promise<void> {
  const pending: Done[] = [];
  for (const part of parts) {
    const { point } = part;
    try {
      const commit = await part.prepare();
      if (commit) pending.push({ point, commit });
    } catch (error) {
      await undoAll(pending, error);
      throw point === '/' ? error : atMountPoint(point, error);
    }
  }
  await finishAll(pending);
}

interface Done {
  readonly point: string;
  readonly commit: PendingCommit;
}

/** All are made final, whatever happens to one; the last one first, because each may have changed the size of the disk for as long as it takes. */
async function finishAll(done: readonly Done[]): Promise<void> {
  const failures: unknown[] = [];
  for (const { commit } of [...done].reverse())
    await commit.finish().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function undoAll(done: readonly Done[], cause: unknown): Promise<void> {
  const failures: string[] = [];
  for (const { point, commit } of [...done].reverse()) {
    try {
      await commit.undo();
    } catch (error) {
      failures.push(`${point}: ${messageOf(error)}`);
    }
  }
  if (failures.length === 0) return;
  throw new TsbuilderError(
    'TSB_GUEST',
    `a change failed (${messageOf(cause)}) and could not be taken back everywhere: ${failures.join('; ')}`,
    { hint: 'The filesystems of this disk may not belong together any more.', cause },
  );
}

function atMountPoint(point: string, error: unknown): unknown {
  if (!(error instanceof TsbuilderError)) return error;
  const { code, hint, details } = error;
  return new TsbuilderError(code, `${error.message} (the filesystem mounted at ${point})`, {
    hint: code === 'TSB_NO_SPACE' ? `Make room in ${point}, or give its partition more.` : hint,
    details: { ...details, mountPoint: point },
    cause: error,
  });
}
