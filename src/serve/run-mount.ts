import { describeDisk } from '../build/describe-disk.js';
import { TsbuilderError, messageOf } from '../errors.js';
import { exec } from '../io/exec.js';
import { type Counters, newCounters } from '../io/counters.js';
import { type DiskSource, isWritable, sliceDisk } from '../io/disk-source.js';
import { type FuseFile, openFuseFile } from './fuse-file.js';
import { type MountPlace, openMountPlace } from './mount-place.js';
import { type ServedDisk, type ServedDiskOptions, openServedDisk } from './open-disk.js';
import { orDispose } from './or-dispose.js';
import { openOverlay } from './overlay.js';
import { sliceWritable } from './slice-writable.js';
import type { ServerState } from './stats.js';
import { unmountFile } from './unmount-files.js';

/** What to mount, where and how. */
export interface MountRequest {
  /** Path, URL or template name. */
  readonly src: string;
  readonly dir: string;
  /** Let the files be written to; changes are thrown away at the end. */
  readonly cow: boolean;
  /** Show each partition as a file too. */
  readonly partitions: boolean;
  /** Options for FUSE: `allow_other`, `uid=N`, ... */
  readonly fuseOptions: readonly string[];
  readonly open: Omit<ServedDiskOptions, 'counters' | 'signal'>;
  /** A sentence about something that went wrong while it is mounted. */
  readonly log: (line: string) => void;
  /** Called once, when the files can be used. */
  readonly onReady: (mounted: Mounted) => void;
  /** Unmounts, whoever uses the files. */
  readonly signal: AbortSignal;
}

/** A mount that can be used. */
export interface Mounted {
  readonly dir: string;
  /** Of the process that serves it. */
  readonly pid: number;
  readonly format: string;
  readonly protection: string;
  readonly writable: boolean;
  /** `partition` is absent for the disk. Sizes in bytes. */
  readonly files: readonly { readonly path: string; readonly size: number; readonly partition?: number }[];
}

/**
 * Shows the disk in an image as the file `disk.img` in a folder, and its partitions as `p1` and so on, until they are unmounted or
 * `signal` is aborted. Afterwards nothing is left of it, also if this process is killed.
 *
 * @throws what opening the disk throws; TSB_TOOL_MISSING and TSB_TOOL_FAILED of nbdfuse; TSB_LOCKED, TSB_OUTPUT_EXISTS and
 *   TSB_OUTPUT_UNUSABLE of the folder; the abort reason when `signal` is aborted before the files can be used
 */
export async function runMount(request: MountRequest): Promise<ServerState> {
  const { signal } = request;
  await assertTools(signal);
  const begin = performance.now();
  const counters = newCounters();
  await using place = await openMountPlace(request.dir, { src: request.src, signal });
  using opening = untilReady(signal);
  const served = await openServedDisk(request.src, { ...request.open, counters, signal: opening.signal });
  await using disk = request.cow ? await orDispose(served, () => openOverlay(served)) : served;
  const shown = await planFiles(request, disk, opening.signal);
  await using files = await openFiles(request, { place, shown, counters });
  opening.ready();
  request.onReady(describe(request, { place, served, shown }));
  await over(files.files, request);
  const { name, size } = disk;
  return { counters, sources: [{ name, size, format: served.format }], uptimeMs: performance.now() - begin };
}

async function assertTools(signal: AbortSignal): Promise<void> {
  await exec('nbdfuse', ['--version'], { debianPackage: 'libnbd-bin', signal });
  await exec('fusermount3', ['--version'], { debianPackage: 'fuse3', signal });
}

/** The signal for the disk: aborted with `signal` until it is ready; afterwards reads in flight are to be answered. */
function untilReady(
  signal: AbortSignal,
): Disposable & { readonly signal: AbortSignal; readonly ready: () => void } {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const stop = (): void => signal.removeEventListener('abort', onAbort);
  return {
    signal: controller.signal,
    ready() {
      controller.signal.throwIfAborted();
      stop();
    },
    [Symbol.dispose]: stop,
  };
}

interface ShownFile {
  readonly name: string;
  readonly disk: DiskSource;
  readonly partition?: number;
}

async function planFiles(
  request: MountRequest,
  disk: DiskSource,
  signal: AbortSignal,
): Promise<readonly ShownFile[]> {
  const whole = { name: 'disk.img', disk };
  if (!request.partitions) return [whole];
  const { partitions } = await describeDisk(disk, signal);
  const inside = partitions.filter(
    ({ number, offset, length }) => number > 0 && length > 0 && offset + length <= disk.size,
  );
  if (inside.length === 0) {
    throw new TsbuilderError('TSB_PARTITION_NOT_FOUND', `${disk.name}: has no partitions`, {
      hint: 'Leave --partitions away.',
    });
  }
  const parts = inside.map(({ number, offset, length }) => ({
    name: `p${number}`,
    disk: isWritable(disk) ? sliceWritable(disk, offset, length) : sliceDisk(disk, offset, length),
    partition: number,
  }));
  return [whole, ...parts];
}

interface ShownFuseFile extends FuseFile {
  readonly path: string;
}

interface Work {
  readonly place: MountPlace;
  readonly shown: readonly ShownFile[];
  readonly counters: Counters;
}

/** Mounts all files. Disposing them takes the whole mount down before what serves them ends. */
async function openFiles(
  request: MountRequest,
  work: Work,
): Promise<AsyncDisposable & { readonly files: readonly ShownFuseFile[] }> {
  const { place, shown, counters } = work;
  const paths = await place.makeFiles(shown.map(({ name }) => name));
  const files: ShownFuseFile[] = [];
  const close = async (): Promise<void> => {
    try {
      await place[Symbol.asyncDispose]();
    } finally {
      await Promise.all(files.map((file) => file[Symbol.asyncDispose]()));
    }
  };
  try {
    for (const [index, { disk, name }] of shown.entries()) {
      const path = paths[index] ?? '';
      const file = await openFuseFile({
        path,
        disk,
        pidfile: `${place.state.folder}/${name}.pid`,
        options: fuseOptions(request),
        counters,
        log: (line) => request.log(`${name}: ${line}`),
        signal: request.signal,
      });
      files.push({ ...file, path });
    }
    return { files, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What never changes may stay in the kernel's cache when the file is closed. */
function fuseOptions({ cow, fuseOptions: wanted }: MountRequest): readonly string[] {
  return cow ? wanted : ['kernel_cache', ...wanted];
}

/** Resolves when all files have been unmounted, or the signal is aborted. */
async function over(files: readonly ShownFuseFile[], { log, signal }: MountRequest): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<void>((done) => {
    stop = done;
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) done();
  });
  const watch = async ({ path, ended }: ShownFuseFile): Promise<void> => {
    const how = await ended;
    if (how === undefined || signal.aborted) return;
    // What nbdfuse leaves when it breaks down gives nothing but errors.
    log(`${path}: nbdfuse ${how}; the file is gone`);
    await unmountFile(path, 'lazy').catch((error: unknown) => log(messageOf(error)));
  };
  await Promise.race([aborted, Promise.all(files.map(watch))]);
  signal.removeEventListener('abort', stop);
}

function describe(
  request: MountRequest,
  { place, served, shown }: { place: MountPlace; served: ServedDisk; shown: readonly ShownFile[] },
): Mounted {
  return {
    dir: place.dir,
    pid: process.pid,
    format: served.format,
    protection: served.protection,
    writable: request.cow,
    files: shown.map(({ name, disk, partition }) => ({
      path: `${place.dir}/${name}`,
      size: disk.size,
      ...(partition !== undefined && { partition }),
    })),
  };
}
