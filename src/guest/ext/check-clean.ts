import { TsbuilderError } from '../../errors.js';
import type { E2fsScratch } from '../../io/e2fs-env.js';
import { withoutTempNames } from '../../io/temp-name.js';
import { ANY_STATUS, type ExtTarget, complaint, runE2fs } from './e2fs-run.js';

/**
 * Has e2fsck look through the filesystem after a change, without changing anything.
 *
 * @throws TSB_GUEST with what it found
 */
export async function assertClean(target: ExtTarget, scratch: E2fsScratch): Promise<void> {
  const faults = await findFaults(target, scratch);
  if (faults === undefined) return;
  throw new TsbuilderError('TSB_GUEST', `${target.diskPath}: e2fsck found faults after the change ${faults}`);
}

/**
 * Tells faults that were there before from those that a change has made: to be called when a change has failed and been taken back, so that it costs
 * nothing when all goes well. A session that was killed while it wrote in place leaves such a disk.
 *
 * @throws TSB_FILESYSTEM when the filesystem has faults of its own
 */
export async function assertWasClean(target: ExtTarget, scratch: E2fsScratch): Promise<void> {
  const faults = await findFaults(target, scratch);
  if (faults === undefined) return;
  const place = target.offset === 0 ? target.diskPath : `${target.diskPath}?offset=${target.offset}`;
  throw new TsbuilderError(
    'TSB_FILESYSTEM',
    `${target.diskPath}: the filesystem at ${target.offset} had faults before this change, which was not made: e2fsck found ${faults}`,
    {
      hint: `Restore the disk from its backup, or repair it; a raw one with: e2fsck -fy ${shellWord(withoutTempNames(place))}`,
    },
  );
}

const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** e2fsck's status and complaints, or undefined when it has none. */
async function findFaults(target: ExtTarget, scratch: E2fsScratch): Promise<string | undefined> {
  const { status, stdout, stderr } = await runE2fs(target, scratch, {
    command: ['e2fsck', '-fn', scratch.device],
    okStatus: ANY_STATUS,
    signal: target.signal,
  });
  return status === 0 ? undefined : `(status ${status}): ${complaint(stdout, stderr)}`;
}
