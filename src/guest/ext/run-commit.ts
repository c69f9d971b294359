import { stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TsbuilderError } from '../../errors.js';
import { type E2fsScratch, openE2fsScratch } from '../../io/e2fs-env.js';
import { forEachParallel } from '../../io/parallel.js';
import type { FileContent } from '../guest.js';
import type { PendingCommit } from '../pending-commit.js';
import type { BaseFilesystem } from '../tree.js';
import { assertRoom } from './assert-room.js';
import { assertClean, assertWasClean } from './check-clean.js';
import { type ExtTarget, runE2fs } from './e2fs-run.js';
import type { CommitPlan } from './plan-commit.js';
import { type Script, planSecond } from './plan-second.js';
import { UNDO, UNDO_REPAIR, UNDO_SECOND, readSuper, rollBack } from './roll-back.js';
import { openUndoRoom } from './undo-room.js';

/** The commands of a run of debugfs, in the programs' working folder. */
const SCRIPT = 'script';

/** How a commit is looked at while it is made. */
export interface CommitCheck {
  /** The filesystem as it is on the disk now. */
  reread(): Promise<BaseFilesystem>;
  /** Throws unless everything in it is as it was to be. */
  compare(base: BaseFilesystem): Promise<void>;
}

/**
 * Runs the script of `plan` in one debugfs (or two), then `e2fsck -fn`, then `check`. If any of them finds a fault, what debugfs
 * wrote is taken back, so that the filesystem is as it was, byte for byte; the caller can still do so afterwards.
 *
 * @throws TSB_NO_SPACE when the filesystem is full, TSB_FILESYSTEM when it had faults before, TSB_GUEST with what debugfs or e2fsck said,
 * whatever `check` throws
 */
export async function runCommit(
  target: ExtTarget,
  plan: CommitPlan,
  check: CommitCheck,
): Promise<PendingCommit> {
  const opened: AsyncDisposable[] = [];
  const finish = async (): Promise<void> => {
    for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
  };
  try {
    const scratch = await openE2fsScratch(target.diskPath, target.offset);
    opened.push(scratch);
    await forEachParallel(plan.hostFiles, assertHostFile, { jobs: 8 });
    await placeInputs(scratch, plan);
    await assertRoom(target, plan);
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
  check: CommitCheck;
}): Promise<void> {
  const { target, scratch, plan, check } = what;
  await runScript(target, scratch, { script: plan.script, undo: UNDO });
  if (plan.second) {
    const second = await planSecond(await check.reread(), plan.second, target.now);
    await placeInputs(scratch, second);
    if (second.script.length > 0)
      await runScript(target, scratch, { script: second.script, undo: UNDO_SECOND });
  }
  if (plan.leaves || plan.unindexed) await finishWork(target, scratch);
  await assertClean(target, scratch);
  await check.compare(await check.reread());
}

function placeInputs({ folder }: E2fsScratch, { inputs }: Pick<Script, 'inputs'>): Promise<void> {
  return forEachParallel(inputs, ([name, content]) => placeInput(join(folder, name), content), { jobs: 8 });
}

async function placeInput(path: string, content: FileContent): Promise<void> {
  if (typeof content === 'string' || content instanceof Uint8Array)
    return writeFile(path, content, { mode: 0o600 });
  await assertHostFile(content.hostFile);
  await symlink(resolve(content.hostFile), path);
}

async function assertHostFile(path: string): Promise<void> {
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile) throw new TsbuilderError('TSB_NOT_FOUND', `${path}: no such file to copy into the guest`);
}

/** Not given the signal: killed half-way, debugfs would leave a filesystem that its undo file cannot restore. */
async function runScript(
  target: ExtTarget,
  scratch: E2fsScratch,
  { script, undo }: { script: readonly string[]; undo: string },
): Promise<void> {
  // No pipe leads to or from debugfs, so that it does all of the script also when this process is killed.
  await writeFile(join(scratch.folder, SCRIPT), `${script.join('\n')}\n`, {
    encoding: 'latin1',
    mode: 0o600,
  });
  const { status, stderr } = await runE2fs(target, scratch, {
    command: ['debugfs', '-w', '-z', undo, '-f', SCRIPT, scratch.device],
    // It only repeats the commands on standard output.
    errorFile: join(scratch.folder, `${undo}-errors`),
    okStatus: [0, 1],
  });
  // debugfs ends with 0 when a command has failed; all that it says about failures is on standard error.
  const said = stderr.split('\n').filter((line) => line.trim() !== '' && !/^debugfs \d/.test(line));
  if (said.length === 0 && status === 0) return;
  const full = /could not allocate|no free space/i.exec(stderr);
  const text = said.slice(0, 3).join('; ').replace(/\s+/g, ' ') || `status ${status}`;
  if (/no space left on device/i.test(stderr)) {
    throw new TsbuilderError(
      'TSB_NO_SPACE',
      `${target.diskPath}: there is no space left on this machine, nothing was changed: ${text}`,
      { hint: 'Make room where the disk is, and in the folder for temporary files (TMPDIR).' },
    );
  }
  if (full) {
    throw new TsbuilderError(
      'TSB_NO_SPACE',
      `${target.diskPath}: the guest's filesystem is full, nothing was changed: ${text}`,
      {
        hint: 'Build with a larger --size; a disk that is there is enlarged by tsbuilder resize.',
      },
    );
  }
  throw new TsbuilderError(
    'TSB_GUEST',
    `${target.diskPath}: the guest's files could not be changed: ${text}`,
  );
}

/** Has e2fsck free blocks of attributes that nobody uses any more, and make indexes for large folders that have none. */
async function finishWork(target: ExtTarget, scratch: E2fsScratch): Promise<void> {
  await runE2fs(target, scratch, {
    command: ['e2fsck', '-fp', '-z', UNDO_REPAIR, scratch.device],
    okStatus: [0, 1],
  });
}
