import type { Counters } from '../io/counters.js';
import { isWritable } from '../io/disk-source.js';
import type { Ending } from './ending.js';
import type { ExportRequest } from './exports.js';
import { openServedDisk } from './open-disk.js';
import { openOverlay } from './overlay.js';
import type { ServeRequest, ServedExport } from './serve-request.js';

/** Disposing it closes all disks. */
export interface OpenedExports extends AsyncDisposable {
  readonly exports: readonly ServedExport[];
}

/** Opens all disks, one after the other. @throws what opening one throws; those that are open are closed then */
export async function openExports(
  request: ServeRequest,
  counters: Counters,
  ending: Ending,
): Promise<OpenedExports> {
  const opened: ServedExport[] = [];
  const close = async (): Promise<void> => {
    ending[Symbol.dispose]();
    await Promise.all(opened.map(({ disk }) => disk[Symbol.asyncDispose]()));
  };
  try {
    for (const wanted of request.plan.exports)
      opened.push(await openExport(wanted, request, { counters, signal: ending.opening }));
    return { exports: opened, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openExport(
  wanted: ExportRequest,
  request: ServeRequest,
  context: { readonly counters: Counters; readonly signal: AbortSignal },
): Promise<ServedExport> {
  const { counters, signal } = context;
  const { exports } = request.plan;
  const base = await openServedDisk(wanted.src, {
    cacheBytes: Math.floor(request.cacheBytes / exports.length),
    spill: spillPath(request.cacheFile, exports.indexOf(wanted)),
    jobs: request.jobs,
    partition: request.partition,
    format: request.format,
    templates: request.templates,
    arch: request.arch,
    requireVerified: request.requireVerified,
    http: { ...request.http, counters },
    counters,
    progress: request.progress,
    signal,
  });
  const { format, protection } = base;
  try {
    const disk = request.cow ? await openOverlay(base) : base;
    const told = { src: base.name, size: disk.size, format, protection, writable: isWritable(disk) };
    return { name: wanted.name, description: describe(told), disk, ...told };
  } catch (error) {
    await base[Symbol.asyncDispose]();
    throw error;
  }
}

/** Each export has a file of its own. */
function spillPath(path: string | undefined, index: number): string | undefined {
  return path === undefined || index === 0 ? path : `${path}.${index + 1}`;
}

function describe({ format, protection }: { readonly format: string; readonly protection: string }): string {
  return `${format}; ${protection}`;
}
