import { fstatSync, readFileSync, readlinkSync } from 'node:fs';
import { TsbuilderError } from '../errors.js';
import { loadNativeLibrary } from '../io/native.js';

/** The first descriptor that systemd passes (SD_LISTEN_FDS_START of sd-daemon.h). */
const FIRST_FD = 3;
const MAX_FDS = 64;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/**
 * The listening sockets that whoever started this process has opened for it (sd_listen_fds(3); libnbd does the same): descriptors, none
 * when there are none for this process. The variables are removed from `env` and the descriptors are not inherited further, so that
 * programs started later do not take them for theirs.
 *
 * @throws TSB_LISTEN when the variables are there and wrong, or a descriptor is no socket
 */
export function takeActivationSockets(env: NodeJS.ProcessEnv, pid: number): readonly number[] {
  const { LISTEN_FDS: count, LISTEN_PID: owner } = env;
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID']) {
    Reflect.deleteProperty(env, name);
  }
  if (count === undefined || owner === undefined || owner !== String(pid)) return [];
  if (!/^[1-9]\d{0,3}$/.test(count) || Number(count) > MAX_FDS) {
    throw new TsbuilderError(
      'TSB_LISTEN',
      `LISTEN_FDS is ${JSON.stringify(count)}; it must be a number from 1 to ${MAX_FDS}`,
    );
  }
  const fds = Array.from({ length: Number(count) }, (_, index) => FIRST_FD + index);
  for (const fd of fds) assertSocket(fd);
  keepFromChildren(fds);
  return fds;
}

/** The path of an open Unix socket; undefined when it has none that could be told. */
export function unixSocketPath(fd: number): string | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
    const row = rows
      .map((line) => /^(?:\S+ +){6}(\d+) (\/.*)$/.exec(line))
      .find((fields) => fields?.[1] === inode);
    return row?.[2];
  } catch {
    return undefined;
  }
}

function assertSocket(fd: number): void {
  let isSocket = false;
  try {
    isSocket = fstatSync(fd).isSocket();
  } catch {
    // Not even open.
  }
  if (isSocket) return;
  throw new TsbuilderError('TSB_LISTEN', `LISTEN_FDS promises a socket as descriptor ${fd}; it is none`);
}

function keepFromChildren(fds: readonly number[]): void {
  if (process.platform !== 'linux') return;
  const fcntl = loadNativeLibrary(['libc.so.6', 'libc.so'])?.bind(
    'int fcntl(int fd, int command, int argument)',
  );
  for (const fd of fds) fcntl?.(fd, F_SETFD, FD_CLOEXEC);
}
