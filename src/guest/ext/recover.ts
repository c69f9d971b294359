import { TsbuilderError } from '../../errors.js';
import { type E2fsScratch, openE2fsScratch } from '../../io/e2fs-env.js';
import type { ExecResult } from '../../io/exec.js';
import { ANY_STATUS, type ExtTarget, complaint, runE2fs } from './e2fs-run.js';

/**
 * Replays the journal and repairs what can be repaired without asking (`e2fsck -fp`).
 *
 * e2fsck 1.47.0 cannot do this in one run when the filesystem begins inside a disk: having replayed the journal it
 * opens the filesystem again without the offset and gives up. The replay is complete then and only the flag for it is
 * left, so that is cleared and the check run again.
 *
 * @throws TSB_FILESYSTEM when the filesystem needs a person's decision
 */
export async function recoverFilesystem(target: ExtTarget): Promise<void> {
  await using scratch = await openE2fsScratch(target.diskPath, target.offset);
  let { status, stdout, stderr } = await check(target, scratch);
  if (/while trying to re-open/.test(stderr)) {
    await runE2fs(target, scratch, {
      command: ['debugfs', '-w', '-R', 'feature -needs_recovery', scratch.device],
    });
    ({ status, stdout, stderr } = await check(target, scratch));
  }
  if (status <= 1) return;
  const said = complaint(stdout, stderr);
  throw new TsbuilderError(
    'TSB_FILESYSTEM',
    `${target.diskPath}: e2fsck cannot repair the filesystem at ${target.offset}: ${said}`,
    {
      hint: 'Repair it with e2fsck -f by hand.',
    },
  );
}

function check(target: ExtTarget, scratch: E2fsScratch): Promise<ExecResult> {
  const { signal } = target;
  return runE2fs(target, scratch, {
    command: ['e2fsck', '-fp', scratch.device],
    okStatus: ANY_STATUS,
    signal,
  });
}
