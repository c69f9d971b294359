import { type ExecOptions, type ExecResult, exec } from '../io/exec.js';
import { e2fsEnv } from '../io/e2fs-env.js';

/**
 * Runs a program that must own files as any user, as it finds them in a Debian tree: as root itself, or in a user
 * namespace in which this user is root and has the subordinate ids of /etc/subuid (the same ones in every call, so that
 * one call may read what another wrote).
 *
 * @throws as `exec`
 */
export async function execAsRoot(
  file: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const withPath = { ...options, env: { ...e2fsEnv(), ...options.env } };
  if (isRoot()) return exec(file, args, withPath);
  return exec('unshare', ['--map-root-user', '--map-auto', '--', file, ...args], withPath);
}

/**
 * Runs a program that mounts things: in a mount namespace of its own where this user may make one, so that nothing else
 * sees the mounts and they go when the program is killed.
 *
 * @throws as `exec`
 */
export async function execMounting(
  file: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const namespace = ['--mount', '--propagation', 'private', '--'];
  const trial = await exec('unshare', [...namespace, 'true'], { signal: options.signal, okStatus: [0, 1] });
  return trial.status === 0
    ? exec('unshare', [...namespace, file, ...args], options)
    : exec(file, args, options);
}

/** Whether this process may own files as any user without a namespace. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
