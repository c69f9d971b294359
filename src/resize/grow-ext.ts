import { stat } from 'node:fs/promises';
import { TsbuilderError } from '../errors.js';
import { e2fsEnv } from '../io/e2fs-env.js';
import { type ExecOptions, type ExecResult, exec } from '../io/exec.js';
import type { GrowStep } from './resize-plan.js';

/** How the tools that change a disk are run. */
export interface GrowOptions {
  /** Let the tools flush what they write to the disk. Default: no. */
  readonly sync?: boolean | undefined;
  /** Seconds since 1970 that e2fsprogs takes for the present. Default: the real time. */
  readonly fakeTime?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEBIAN_PACKAGE = 'e2fsprogs';
// e2fsck(8): 1 = errors corrected, 2 = corrected and a reboot would be due if it were mounted.
const CHECKED = [0, 1, 2, 3];
// Every status comes back, so that the message can say which partition it was.
const ANY = Array.from({ length: 256 }, (_, status) => status);

/**
 * Checks (and where it is safe repairs, which includes replaying a journal) the ext2/3/4 filesystem inside the disk file,
 * then grows it to the length of its partition. Without root, mount or loop device.
 *
 * @throws TSB_FILESYSTEM when e2fsck finds damage it does not dare to repair, or resize2fs fails; TSB_TOOL_MISSING
 */
export async function growExt(disk: string, step: GrowStep, options: GrowOptions): Promise<void> {
  const device = `${disk}?offset=${step.offset}`;
  const check = await checkExt(device, options);
  if (!CHECKED.includes(check.status)) throw damaged(step, check, device);
  // Without a size resize2fs would take all the rest of the disk file.
  const resize2fs = ['resize2fs', device, `${Math.floor(step.length / 512)}s`];
  const { size } = await stat(disk);
  const resize = await exec('sh', [...WITHOUT_STDIN, ...resize2fs], toolOptions(options));
  if (resize.status !== 0) throw notGrown(step, resize, device);
  await assertUncut(disk, size);
}

/**
 * Finds out whether the ext2/3/4 filesystem at `offset` of the disk file can be grown, without changing anything where it
 * is clean. Elsewhere e2fsck makes the repairs that are safe, which includes replaying a journal.
 *
 * @throws TSB_FILESYSTEM when e2fsck finds damage it does not dare to repair; TSB_TOOL_MISSING
 */
export async function assertSoundExt(
  disk: string,
  step: Pick<GrowStep, 'offset' | 'partition' | 'name'>,
  options: GrowOptions,
): Promise<void> {
  const device = `${disk}?offset=${step.offset}`;
  const look = await exec('e2fsck', ['-fn', device], toolOptions(options));
  if (look.status === 0) return;
  const check = await checkExt(device, options);
  if (!CHECKED.includes(check.status)) throw damaged(step, check, device);
}

function toolOptions({ sync, fakeTime, signal }: GrowOptions): ExecOptions {
  return { env: e2fsEnv({ sync, fakeTime }), signal, debianPackage: DEBIAN_PACKAGE, okStatus: ANY };
}

/**
 * Checks a filesystem. After replaying a journal, e2fsck opens the disk file again without its offset, fails, and leaves the
 * mark of a journal to be replayed (e2fsprogs, e2fsck/journal.c). The journal is empty by then: with the mark removed,
 * the second check is an ordinary one, and it would find a journal that is not empty.
 */
async function checkExt(device: string, options: GrowOptions): Promise<ExecResult> {
  const check = (): Promise<ExecResult> => exec('e2fsck', ['-fp', device], toolOptions(options));
  const first = await check();
  if (!/recovering journal/.test(first.stdout) || !/while trying to re-open/.test(first.stderr)) return first;
  await exec('debugfs', ['-w', '-R', 'feature -needs_recovery', device], toolOptions(options));
  return check();
}

/**
 * When resize2fs is done it cuts a regular file off at the length of the filesystem, as if the filesystem began at byte 0:
 * on a disk that loses the end of the partition and all behind it. It does so through the first file that it opens, but
 * only when that file's number is above 0 (e2fsprogs, resize/main.c): with standard input closed it gets number 0.
 */
const WITHOUT_STDIN = ['-c', 'exec "$@" <&-', 'sh'];

async function assertUncut(disk: string, size: number): Promise<void> {
  const now = (await stat(disk)).size;
  if (now === size) return;
  throw new TsbuilderError(
    'TSB_TOOL_FAILED',
    `resize2fs cut ${disk} off at ${now} bytes; it had ${size} bytes`,
    { hint: 'This version of e2fsprogs cannot be used on disk files: use 1.47.', details: { now, size } },
  );
}

/** `partition 1` or `the disk`. */
export function placeOf({ partition }: Pick<GrowStep, 'partition'>): string {
  return partition === 0 ? 'the disk' : `partition ${partition}`;
}

function damaged(
  step: Pick<GrowStep, 'partition' | 'name'>,
  result: ExecResult,
  device: string,
): TsbuilderError {
  return new TsbuilderError(
    'TSB_FILESYSTEM',
    `the ${step.name} filesystem on ${placeOf(step)} is damaged (e2fsck status ${result.status}):\n${outputOf(result, device)}`,
    {
      hint: 'Get the disk again, or repair the filesystem with e2fsck.',
      details: { partition: step.partition },
    },
  );
}

function notGrown(step: GrowStep, result: ExecResult, device: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_FILESYSTEM',
    `the ${step.name} filesystem on ${placeOf(step)} could not be grown to ${step.length} bytes (resize2fs status ${result.status}):\n${outputOf(result, device)}`,
    { details: { partition: step.partition, length: step.length } },
  );
}

/** What the tool said, its version line and the long name of the disk file left out. */
function outputOf({ stdout, stderr }: ExecResult, device: string): string {
  const lines = `${stdout}\n${stderr}`.replaceAll(`${device}: `, '').split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(e2fsck|resize2fs) \d/.test(line))
    .slice(-10)
    .join('\n');
}
