import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuilderError, messageOf } from '../../errors.js';
import type { E2fsScratch } from '../../io/e2fs-env.js';
import { readFully } from '../../io/file-source.js';
import { type ExtTarget, runE2fs } from './e2fs-run.js';

/** The undo file of debugfs, in the programs' working folder. */
export const UNDO = 'undo';
/** The undo file of its second run. */
export const UNDO_SECOND = 'undo-second';
/** The undo file of e2fsck, which runs after them. */
export const UNDO_REPAIR = 'undo-repair';

const LAST_FIRST = [UNDO_REPAIR, UNDO_SECOND, UNDO];

const SUPER_AT = 1024;
const SUPER_LENGTH = 1024;

/**
 * Takes back what debugfs and e2fsck wrote, as far as that can be done. The superblock is restored from a copy (`readSuper`), because e2undo does
 * not put it at its place when the filesystem begins inside a disk.
 *
 * @throws TSB_GUEST with all that could not be taken back
 */
export async function rollBack(target: ExtTarget, scratch: E2fsScratch, superblock: Buffer): Promise<void> {
  const faults: string[] = [];
  const attempt = (step: Promise<void>): Promise<unknown> =>
    step.catch((error: unknown) => faults.push(messageOf(error)));
  for (const undo of LAST_FIRST.filter((name) => existsSync(join(scratch.folder, name)))) {
    await attempt(replay(target, scratch, undo));
  }
  await attempt(writeSuper(target, superblock));
  if (faults.length === 0) return;
  throw new TsbuilderError(
    'TSB_GUEST',
    `${target.diskPath}: a failed change could not be taken back: ${faults.join('; ')}`,
    { hint: 'The filesystem on this disk may be damaged.' },
  );
}

/** e2undo ends with 0 also when it could not write, or the undo file lacks something: all that it says is on standard error. */
async function replay(target: ExtTarget, scratch: E2fsScratch, undo: string): Promise<void> {
  const { stderr } = await runE2fs(target, scratch, {
    command: ['e2undo', '-f', '-o', String(target.offset), undo, 'disk'],
  });
  const said = stderr.trim().replace(/\s*\n\s*/g, ' ');
  if (said !== '') throw new TsbuilderError('TSB_TOOL_FAILED', said);
}

async function writeSuper(target: ExtTarget, superblock: Buffer): Promise<void> {
  await using handle = await open(target.diskPath, 'r+');
  await handle.write(superblock, 0, superblock.length, target.offset + SUPER_AT);
}

/** The filesystem's superblock as it is on the disk. */
export async function readSuper(target: ExtTarget): Promise<Buffer> {
  await using handle = await open(target.diskPath, 'r');
  const data = Buffer.alloc(SUPER_LENGTH);
  await readFully(target.diskPath, handle, { data, offset: target.offset + SUPER_AT });
  return data;
}
