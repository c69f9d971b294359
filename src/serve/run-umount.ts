import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TsbuilderError } from '../errors.js';
import { readMounts } from '../io/mounts.js';
import type { Progress } from '../progress.js';
import {
  type MountRecord,
  logPath,
  mountState,
  readRecord,
  resolveFolder,
  serverPid,
  serverRuns,
} from './mount-record.js';
import { mountedAmong, takeDown, unmountFile } from './unmount-files.js';

/** What to unmount. */
export interface UmountRequest {
  readonly dir: string;
  /** Also when a file is in use: whoever uses it gets errors then. */
  readonly force: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What was unmounted. */
export interface UmountResult {
  readonly dir: string;
  readonly files: readonly string[];
}

const POLL_MS = 20;
const PATIENCE_MS = 30_000;

/**
 * Unmounts what `runMount` mounted in a folder, and waits until its server has gone and all that was made for the mount is removed; also
 * what is left of a mount whose server was killed.
 *
 * @throws TSB_NOT_FOUND when nothing is mounted there; without `force` TSB_LOCKED when a file is in use, which stays mounted then;
 *   TSB_IO when the server does not end
 */
export async function runUmount(request: UmountRequest): Promise<UmountResult> {
  const { progress } = request;
  const dir = await resolveFolder(request.dir);
  const state = mountState(dir);
  const record = await readRecord(state);
  if (!record) return { dir, files: await unmountUnrecorded(dir, request) };
  const log = await readFile(logPath(state), 'utf8').catch(() => '');
  for (const line of log.trim().split('\n').filter(Boolean)) progress.warn(line);
  if (serverRuns(record)) await endServer(record, request);
  else await takeDown(state, record.server);
  return { dir, files: record.files };
}

async function endServer(record: MountRecord, request: UmountRequest): Promise<void> {
  const mounted = request.force ? [] : await mountedAmong(record.files);
  for (const path of mounted) await unmountFile(path, 'polite');
  const pid = serverPid(record);
  // It ends by itself when its last file goes. A signal makes it end whoever uses the files, and also while it has none yet.
  if (mounted.length === 0 && pid !== undefined) process.kill(pid, 'SIGTERM');
  const end = performance.now() + PATIENCE_MS;
  while (serverRuns(record)) {
    if (performance.now() > end) {
      throw new TsbuilderError('TSB_IO', `${record.dir}: the server, process ${pid ?? '?'}, does not end`, {
        hint: 'A program may still have a file open.',
      });
    }
    await sleep(POLL_MS, undefined, { signal: request.signal }).catch(() => request.signal.throwIfAborted());
  }
}

/** A mount whose record is somewhere else, because another environment says so. Its server removes what was made. */
async function unmountUnrecorded(dir: string, { force }: UmountRequest): Promise<string[]> {
  const names = (await readMounts()).map(({ mountPoint }) => mountPoint);
  const ours = names.filter(
    (path) =>
      /^(disk\.img|p\d+)$/.test(path.slice(dir.length + 1)) && path === join(dir, path.slice(dir.length + 1)),
  );
  const mounted = await mountedAmong(ours);
  if (mounted.length === 0) throw new TsbuilderError('TSB_NOT_FOUND', `${dir}: no image is mounted there`);
  for (const path of mounted) await unmountFile(path, force ? 'lazy' : 'polite');
  return mounted;
}
