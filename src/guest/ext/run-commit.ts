import { stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { type E2fsScratch, openE2fsScratch } from '../../io/e2fs-env.js';
import type { FileContent } from '../guest.js';
import type { PendingCommit } from '../pending-commit.js';
import { assertClean, assertWasClean } from './check-clean.js';
import { type ExtTarget, runE2fs } from './e2fs-run.js';
import type { CommitPlan } from './plan-commit.js';
import { UNDO, UNDO_REPAIR, readSuper, rollBack } from './roll-back.js';
import { openUndoRoom } from './undo-room.js';

/**
 * Runs the script of `plan` in one debugfs, then `e2fsck -fn`, then `check`. If any of them finds a fault, what debugfs
 * wrote is taken back, so that the filesystem is as it was, byte for byte; the caller can still do so afterwards.
 *
 * @throws TSB_NO_SPACE when the filesystem is full, TSB_FILESYSTEM when it had faults before, TSB_GUEST with what debugfs or e2fsck said,
 * whatever `check` throws
 */
export async function runCommit(
  target: ExtTarget,
  plan: CommitPlan,
  check: () => Promise<void>,
): Promise<PendingCommit> {
  const opened: AsyncDisposable[] = [];
  const finish = async (): Promise<void> => {
    for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
  };
  try {
    const scratch = await openE2fsScratch(target.diskPath, target.offset);
    opened.push(scratch);
    for (const [name, content] of plan.inputs) await placeInput(join(scratch.folder, name), content);
    const superblock = await readSuper(target);
    target.signal?.throwIfAborted();
    opened.push(await openUndoRoom(target));
    const takeBack = (): Promise<void> => rollBack(target, scratch, superblock);
    await writeAndCheck({ target, scratch, plan, check }).catch(async (error: unknown) => {
      await takeBack();
      if (isGuestFault(error)) await assertWasClean(target, scratch);
      throw error;
    });
    return { undo: () => takeBack().finally(finish), finish };
  } catch (error) {
    await finish();
    throw error;
  }
}

/** The disk's own state can be behind it, and not what was to be done. */
function isGuestFault(error: unknown): boolean {
  return error instanceof TsbuilderError && ['TSB_GUEST', 'TSB_TOOL_FAILED'].includes(error.code);
}

async function writeAndCheck(what: {
  target: ExtTarget;
  scratch: E2fsScratch;
  plan: CommitPlan;
  check: () => Promise<void>;
}): Promise<void> {
  const { target, scratch, plan, check } = what;
  await runScript(target, scratch, plan.script);
  if (plan.leaves) await freeAttributes(target, scratch);
  await assertClean(target, scratch);
  await check();
}

async function placeInput(path: string, content: FileContent): Promise<void> {
  if (typeof content === 'string' || content instanceof Uint8Array)
    return writeFile(path, content, { mode: 0o600 });
  const source = resolve(content.hostFile);
  const isFile = await stat(source).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile)
    throw new TsbuilderError('TSB_NOT_FOUND', `${content.hostFile}: no such file to copy into the guest`);
  await symlink(source, path);
}

/** Not given the signal: killed half-way, debugfs would leave a filesystem that its undo file cannot restore. */
async function runScript(target: ExtTarget, scratch: E2fsScratch, script: readonly string[]): Promise<void> {
  const { status, stderr } = await runE2fs(target, scratch, {
    command: ['debugfs', '-w', '-z', UNDO, '-f', '-', scratch.device],
    input: Buffer.from(`${script.join('\n')}\n`, 'latin1'),
    okStatus: [0, 1],
  });
  // debugfs ends with 0 when a command has failed; all that it says about failures is on standard error.
  const said = stderr.split('\n').filter((line) => line.trim() !== '' && !/^debugfs \d/.test(line));
  if (said.length === 0 && status === 0) return;
  const full = /could not allocate|no space|no free space/i.exec(stderr);
  const text = said.slice(0, 3).join('; ').replace(/\s+/g, ' ') || `status ${status}`;
  if (full) {
    throw new TsbuilderError(
      'TSB_NO_SPACE',
      `${target.diskPath}: the guest's filesystem is full, nothing was changed: ${text}`,
      {
        hint: 'Give the disk a larger --size.',
      },
    );
  }
  throw new TsbuilderError(
    'TSB_GUEST',
    `${target.diskPath}: the guest's files could not be changed: ${text}`,
  );
}

async function freeAttributes(target: ExtTarget, scratch: E2fsScratch): Promise<void> {
  await runE2fs(target, scratch, {
    command: ['e2fsck', '-fp', '-z', UNDO_REPAIR, scratch.device],
    okStatus: [0, 1],
  });
}
