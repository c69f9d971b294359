import { existsSync } from 'node:fs';
import { open, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TsbuilderError, messageOf } from '../../errors.js';
import { type E2fsScratch, openE2fsScratch } from '../../io/e2fs-env.js';
import { readFully } from '../../io/file-source.js';
import type { FileContent } from '../guest.js';
import type { PendingCommit } from '../pending-commit.js';
import { ANY_STATUS, type ExtTarget, complaint, runE2fs } from './e2fs-run.js';
import type { CommitPlan } from './plan-commit.js';
import { openUndoRoom } from './undo-room.js';

const UNDO = 'undo';
const UNDO_REPAIR = 'undo-repair';
const SUPER_AT = 1024;
const SUPER_LENGTH = 1024;

/**
 * Runs the script of `plan` in one debugfs, then `e2fsck -fn`, then `check`. If any of them finds a fault, what debugfs
 * wrote is taken back, so that the filesystem is as it was, byte for byte; the caller can still do so afterwards.
 *
 * @throws TSB_NO_SPACE when the filesystem is full, TSB_GUEST with what debugfs or e2fsck said, whatever `check` throws
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
      throw error;
    });
    return { undo: () => takeBack().finally(finish), finish };
  } catch (error) {
    await finish();
    throw error;
  }
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
  await checkClean(target, scratch);
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

async function checkClean(target: ExtTarget, scratch: E2fsScratch): Promise<void> {
  const { status, stdout, stderr } = await runE2fs(target, scratch, {
    command: ['e2fsck', '-fn', scratch.device],
    okStatus: ANY_STATUS,
    signal: target.signal,
  });
  if (status === 0) return;
  throw new TsbuilderError(
    'TSB_GUEST',
    `${target.diskPath}: e2fsck found faults after the change (status ${status}): ${complaint(stdout, stderr)}`,
  );
}

/**
 * Takes back what debugfs wrote. The superblock is restored from a copy, because e2undo does not put it at its place
 * when the filesystem begins inside a disk.
 */
async function rollBack(target: ExtTarget, scratch: E2fsScratch, superblock: Buffer): Promise<void> {
  try {
    for (const undo of [UNDO_REPAIR, UNDO].filter((name) => existsSync(join(scratch.folder, name)))) {
      await runE2fs(target, scratch, {
        command: ['e2undo', '-f', '-o', String(target.offset), undo, 'disk'],
      });
    }
    await using handle = await open(target.diskPath, 'r+');
    await handle.write(superblock, 0, superblock.length, target.offset + SUPER_AT);
  } catch (error) {
    throw new TsbuilderError(
      'TSB_GUEST',
      `${target.diskPath}: a failed change could not be taken back: ${messageOf(error)}`,
      {
        hint: 'The filesystem on this disk may be damaged.',
        cause: error,
      },
    );
  }
}

async function readSuper(target: ExtTarget): Promise<Buffer> {
  await using handle = await open(target.diskPath, 'r');
  const data = Buffer.alloc(SUPER_LENGTH);
  await readFully(target.diskPath, handle, { data, offset: target.offset + SUPER_AT });
  return data;
}
