import { type ExecOptions, type ExecResult, exec } from '../../io/exec.js';
import { e2fsEnv } from '../../io/e2fs-env.js';

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

/** What a program may be enclosed in: mounts that go with it, and a process table that ends with it. First choice first. */
const ENCLOSURES = [
  ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc', '--'],
  ['--mount', '--propagation', 'private', '--'],
];

/**
 * Runs a program that mounts things and starts others: in namespaces of its own where this user may make them, so that
 * nothing else sees its mounts, and both they and all that it started are gone when it is killed. It is, as soon as this
 * process ends, however that comes about.
 *
 * @throws as `exec`
 */
export async function execMounting(
  file: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const named = { name: file, ...options };
  for (const namespaces of ENCLOSURES) {
    const trial = await exec('unshare', [...namespaces, 'true'], {
      signal: options.signal,
      okStatus: [0, 1],
    });
    // The first process of a process table collects the orphans in it, which a shell does and others may not.
    const inShell = ['sh', '-c', '"$@"; exit $?', 'sh', file, ...args];
    if (trial.status === 0) return exec(...endingWithParent(['unshare', ...namespaces, ...inShell]), named);
  }
  // It gets the chance to remove its mounts.
  return exec(...endingWithParent([file, ...args], 'TERM'), named);
}

/** The command line, for `exec`, of a program that gets `signal` when this process ends, however that comes about. */
function endingWithParent(
  command: readonly string[],
  signal: 'KILL' | 'TERM' = 'KILL',
): [file: string, args: string[]] {
  return ['setpriv', ['--pdeathsig', signal, '--', ...command]];
}

/** Whether this process may own files as any user without a namespace. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
