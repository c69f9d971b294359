import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { TsbuilderError, errnoOf } from '../errors.js';
import type { Counters } from '../io/counters.js';
import { type DiskSource, isWritable } from '../io/disk-source.js';
import { serveNbdConnection } from '../nbd/nbd-server.js';

/** A disk as a file. */
export interface FuseFileRequest {
  /** Absolute path of an empty file: the disk appears in its place. */
  readonly path: string;
  readonly disk: DiskSource;
  /** Where nbdfuse says that it is ready. */
  readonly pidfile: string;
  /** Options for FUSE. */
  readonly options: readonly string[];
  readonly counters: Counters;
  readonly log: (line: string) => void;
  /** Gives up while it is not ready yet. */
  readonly signal: AbortSignal;
}

/** A disk that is mounted. */
export interface FuseFile extends AsyncDisposable {
  /** Resolves when nbdfuse has ended, whatever the reason: undefined when it was unmounted, otherwise what happened. */
  readonly ended: Promise<string | undefined>;
}

const POLL_MS = 10;
const GRACE_MS = 2000;
const MAX_TEXT = 4096;

/**
 * Shows `disk` as the file `path`, through nbdfuse. The two talk over a socket pair, which no one else can reach. Disposing it ends
 * nbdfuse; the file should have been unmounted before.
 *
 * @throws TSB_TOOL_MISSING without nbdfuse, TSB_TOOL_FAILED with what it said
 */
export async function openFuseFile(request: FuseFileRequest): Promise<FuseFile> {
  const { path, disk, pidfile, options, signal } = request;
  await rm(pidfile, { force: true });
  const flags = [
    ...(isWritable(disk) ? [] : ['-r']),
    '-P',
    pidfile,
    ...options.flatMap((option) => ['-o', option]),
  ];
  // A process group of its own: a Ctrl-C is for the server, which unmounts before it ends anything.
  const child = spawn('nbdfuse', [...flags, path, '--fd', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, LC_ALL: 'C' },
  });
  const end = watchChild(child, request.log);
  const controller = new AbortController();
  const service = serve(child, request, controller.signal);
  const stop = async (): Promise<void> => {
    await endChild(child, end.over);
    controller.abort();
    await service;
  };
  try {
    await untilReady(pidfile, end.over, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  end.nowReady();
  return { ended: end.over.then(({ how }) => how), [Symbol.asyncDispose]: stop };
}

/** Serves the disk on the child's descriptor 3. */
async function serve(child: ChildProcess, request: FuseFileRequest, signal: AbortSignal): Promise<void> {
  const socket = child.stdio[3] as Duplex | null;
  if (!socket) return;
  const { disk, log, counters } = request;
  const options = { exports: [{ name: '', disk }], defaultExport: '', log, counters };
  await serveNbdConnection(socket, options, signal);
}

/** How nbdfuse ended, and what it had said before it was ready. */
interface ChildEnd {
  /** Undefined: as it should. */
  readonly how: string | undefined;
  readonly error?: Error | undefined;
  readonly text: string;
}

interface WatchedChild {
  readonly over: Promise<ChildEnd>;
  /** From now on what it says goes to the log. */
  readonly nowReady: () => void;
}

function watchChild(child: ChildProcess, log: (line: string) => void): WatchedChild {
  let text = '';
  let isReady = false;
  child.stderr?.on('data', (data: Buffer) => {
    if (isReady) for (const line of data.toString().trim().split('\n')) log(`nbdfuse: ${line}`);
    else if (text.length < MAX_TEXT) text += data.toString();
  });
  const over = new Promise<ChildEnd>((resolve) => {
    child.once('error', (error) => resolve({ how: error.message, error, text: error.message }));
    child.once('close', (code, signal) => {
      const how = signal ? `was killed by ${signal}` : `ended with status ${code ?? 'unknown'}`;
      resolve({ how: code === 0 ? undefined : how, text: text.trim() });
    });
  });
  return { over, nowReady: () => (isReady = true) };
}

async function untilReady(pidfile: string, over: Promise<ChildEnd>, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    if ((await readFile(pidfile, 'utf8').catch(() => '')) !== '') return;
    const end = await Promise.race([over, sleep(POLL_MS)]);
    if (end) throw cannotMount(end);
  }
}

function cannotMount({ error, text }: ChildEnd): TsbuilderError {
  if (errnoOf(error) === 'ENOENT') {
    return new TsbuilderError('TSB_TOOL_MISSING', 'nbdfuse: program not found', {
      hint: 'Install it: apt-get install libnbd-bin fuse3',
      cause: error,
    });
  }
  const hint = /fuse: device not found|\/dev\/fuse/.test(text)
    ? 'FUSE must be there: /dev/fuse (modprobe fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN).'
    : undefined;
  return new TsbuilderError('TSB_TOOL_FAILED', `nbdfuse cannot mount: ${text || 'it ended without a word'}`, {
    hint,
  });
}

/** nbdfuse ends by itself when it is unmounted, unless the file is still open somewhere. */
async function endChild(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  for (const signal of [undefined, 'SIGTERM', 'SIGKILL'] as const) {
    if (signal) child.kill(signal);
    const timer = new AbortController();
    const late = sleep(GRACE_MS, 'late', { signal: timer.signal }).catch(() => 'late');
    const first = await Promise.race([ended.then(() => 'ended'), late]);
    timer.abort();
    if (first === 'ended') return;
  }
}
