import { type E2fsScratch, e2fsEnv } from '../../io/e2fs-env.js';
import { type ExecOptions, type ExecResult, exec } from '../../io/exec.js';

/** An ext filesystem inside a disk, and how the programs that change it are to run. */
export interface ExtTarget {
  readonly diskPath: string;
  /** Where the filesystem begins in the disk, in bytes. */
  readonly offset: number;
  /** The present for the programs, seconds since 1970. */
  readonly now: number;
  readonly sync?: boolean | undefined;
  /** The open file that locks the disk: programs that change it hold it too, so that no killed session leaves them alone with it. */
  readonly lockFd?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** For programs whose status is looked at by the caller. */
export const ANY_STATUS: readonly number[] = Array.from({ length: 256 }, (_, value) => value);

/**
 * Runs a program of e2fsprogs in `scratch` with the target's clock.
 *
 * @throws TSB_TOOL_MISSING when it is not installed, TSB_TOOL_FAILED when its status is not in `okStatus`
 */
export function runE2fs(
  target: ExtTarget,
  scratch: E2fsScratch,
  what: { command: readonly [string, ...string[]] } & Pick<ExecOptions, 'errorFile' | 'okStatus' | 'signal'>,
): Promise<ExecResult> {
  const { command, ...options } = what;
  const [program, ...args] = command;
  const env = e2fsEnv({ fakeTime: target.now, sync: target.sync });
  const how = { cwd: scratch.folder, env, holds: target.lockFd, debianPackage: 'e2fsprogs' };
  return exec(program, args, { ...options, ...how });
}

/** The lines of e2fsck's output that say what is wrong. */
export function complaint(stdout: string, stderr: string): string {
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !/^(Pass \d|e2fsck \d)/.test(line))
    .slice(0, 5)
    .join('; ');
}
