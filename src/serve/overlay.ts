import { randomBytes } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WriteTarget, writeFully, writeZeros } from '../image/write-fully.js';
import { assertRange } from '../io/byte-source.js';
import type { DiskExtent, DiskSource, WritableDisk } from '../io/disk-source.js';
import { readFully } from '../io/file-source.js';
import { writeError } from '../io/free-space.js';
import { punchHole } from '../io/libc.js';
import { type ClusterStates, createClusterStates } from './cluster-states.js';
import { createRangeLock } from './range-lock.js';

/** The unit in which content moves from the disk below into the overlay. */
const CLUSTER = 65536;

/** More extents than this say little that a second call could not. */
const MAX_EXTENTS = 4096;

interface Overlay {
  readonly base: DiskSource;
  readonly target: WriteTarget;
  readonly states: ClusterStates;
}

/**
 * A writable disk over `base`, which is only read. What is written goes to a sparse temporary file in `dir` (default: the system's
 * temporary folder) that has no name, so nothing is left whatever happens; it is forgotten when the disk is disposed of, which
 * disposes of `base` too. Concurrent writes never lose each other's bytes, even when they overlap.
 *
 * Writing throws TSB_NO_SPACE (its cause is ENOSPC) when the file's filesystem is full: what could be read before can be read
 * afterwards, except that the range of the failed write may be old, new, or part of each.
 *
 * @throws TSB_NO_SPACE, TSB_OUTPUT_UNUSABLE or TSB_IO when the temporary file cannot be made
 */
export async function openOverlay(
  base: DiskSource,
  options: { readonly dir?: string | undefined } = {},
): Promise<WritableDisk> {
  const target = await openNameless(options.dir ?? tmpdir(), base.size);
  const overlay: Overlay = { base, target, states: createClusterStates(CLUSTER) };
  const lock = createRangeLock();
  const locked = (offset: number, length: number, task: () => Promise<void>): Promise<void> =>
    lock.run(Math.floor(offset / CLUSTER), Math.ceil((offset + length) / CLUSTER), task);
  return {
    name: base.name,
    size: base.size,
    read(offset, length, signal) {
      assertRange(base, offset, length);
      return readRuns(overlay, { offset, length, signal });
    },
    extents(offset, length, signal) {
      assertRange(base, offset, length);
      return overlayExtents(overlay, { offset, length, signal });
    },
    async write(offset, data, signal) {
      assertRange(base, offset, data.length);
      await locked(offset, data.length, () => writePieces(overlay, { offset, data, signal }));
    },
    async zero(offset, length, how = {}) {
      assertRange(base, offset, length);
      const punch = how.punch ?? false;
      await locked(offset, length, () => zeroPieces(overlay, { offset, length, punch }));
    },
    // Nothing written here is meant to outlive the process.
    flush: () => Promise.resolve(),
    ...(base.prefetch && { prefetch: prefetchBelow(overlay, base.prefetch.bind(base)) }),
    async [Symbol.asyncDispose]() {
      await target.handle.close();
      await base[Symbol.asyncDispose]();
    },
  };
}

async function openNameless(dir: string, size: number): Promise<WriteTarget> {
  const path = join(dir, `.tsbuilder-${randomBytes(8).toString('hex')}.cow`);
  try {
    const handle = await open(path, 'wx+', 0o600);
    try {
      await unlink(path);
      await handle.truncate(size);
      return { path: `${dir} (changes of --cow)`, handle };
    } catch (error) {
      await handle.close();
      throw error;
    }
  } catch (error) {
    throw writeError(dir, error);
  }
}

interface Range {
  readonly offset: number;
  readonly length: number;
  readonly signal?: AbortSignal | undefined;
}

async function readRuns(overlay: Overlay, range: Range): Promise<Uint8Array> {
  const { base, target, states } = overlay;
  const { offset, length, signal } = range;
  const [first] = states.runs(offset, length);
  if (first?.state === 'base' && first.length === length) return base.read(offset, length, signal);
  const result = Buffer.alloc(length);
  for (const run of states.runs(offset, length)) {
    signal?.throwIfAborted();
    const data = result.subarray(run.offset - offset, run.offset - offset + run.length);
    if (run.state === 'base') data.set(await base.read(run.offset, run.length, signal));
    if (run.state === 'data')
      await readFully(target.path, target.handle, { data, offset: run.offset, signal });
  }
  return result;
}

async function overlayExtents(overlay: Overlay, range: Range): Promise<readonly DiskExtent[]> {
  const extents: DiskExtent[] = [];
  const add = ({ offset, length, kind }: DiskExtent): void => {
    const last = extents.at(-1);
    if (last?.kind === kind) extents[extents.length - 1] = { ...last, length: last.length + length };
    else extents.push({ offset, length, kind });
  };
  for (const { offset, length, state } of overlay.states.runs(range.offset, range.length)) {
    if (state === 'base') {
      const below = await overlay.base.extents(offset, length, range.signal);
      below.forEach(add);
      // What lies behind must follow without a gap.
      if (below.reduce((sum, extent) => sum + extent.length, 0) < length) break;
    } else add({ offset, length, kind: state === 'zero' ? 'hole' : 'data' });
    if (extents.length >= MAX_EXTENTS) break;
  }
  return extents;
}

function prefetchBelow(
  overlay: Overlay,
  prefetch: NonNullable<DiskSource['prefetch']>,
): NonNullable<DiskSource['prefetch']> {
  return async (offset, length, signal) => {
    assertRange(overlay.base, offset, length);
    for (const run of overlay.states.runs(offset, length)) {
      if (run.state === 'base') await prefetch(run.offset, run.length, signal);
    }
  };
}

/** A part of a range: whole clusters, or a part of one. */
interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly whole: boolean;
}

/** The range cut where its whole clusters begin and end. The disk's last cluster is whole up to the disk's end. */
function* piecesOf(size: number, offset: number, length: number): Iterable<Piece> {
  const end = offset + length;
  const begin = Math.min(end, Math.ceil(offset / CLUSTER) * CLUSTER);
  const stop = Math.max(begin, end === size ? end : Math.floor(end / CLUSTER) * CLUSTER);
  if (begin > offset) yield { offset, length: begin - offset, whole: false };
  if (stop > begin) yield { offset: begin, length: stop - begin, whole: true };
  if (end > stop) yield { offset: stop, length: end - stop, whole: false };
}

async function writePieces(
  overlay: Overlay,
  write: { offset: number; data: Uint8Array; signal: AbortSignal | undefined },
): Promise<void> {
  const { base, target, states } = overlay;
  const { offset, data, signal } = write;
  for (const piece of piecesOf(base.size, offset, data.length)) {
    signal?.throwIfAborted();
    const part = data.subarray(piece.offset - offset, piece.offset - offset + piece.length);
    const cluster = Math.floor(piece.offset / CLUSTER);
    if (!piece.whole && states.get(cluster) !== 'data') {
      await copyUp(overlay, { offset: piece.offset, data: part, signal });
      continue;
    }
    await writeFully(target, piece.offset, part);
    states.set(cluster, Math.ceil(piece.length / CLUSTER), 'data');
  }
}

/**
 * Takes a cluster into the overlay with a part of it replaced. The whole cluster is written, whatever the file had there: a
 * write that failed before may have left anything.
 */
async function copyUp(
  overlay: Overlay,
  write: { offset: number; data: Uint8Array; signal?: AbortSignal | undefined },
): Promise<void> {
  const { base, target, states } = overlay;
  const cluster = Math.floor(write.offset / CLUSTER);
  const start = cluster * CLUSTER;
  const length = Math.min(CLUSTER, base.size - start);
  const content = Buffer.alloc(length);
  if (states.get(cluster) === 'base') content.set(await base.read(start, length, write.signal));
  content.set(write.data, write.offset - start);
  await writeFully(target, start, content);
  states.set(cluster, 1, 'data');
}

async function zeroPieces(
  overlay: Overlay,
  range: { offset: number; length: number; punch: boolean },
): Promise<void> {
  const { base, target, states } = overlay;
  for (const { offset, length, whole } of piecesOf(base.size, range.offset, range.length)) {
    const cluster = Math.floor(offset / CLUSTER);
    if (whole && range.punch) await punchClusters(overlay, offset, length);
    else if (whole || states.get(cluster) === 'data') {
      await writeZeros(target, offset, length);
      states.set(cluster, Math.ceil(length / CLUSTER), 'data');
    } else if (states.get(cluster) === 'base' && !(await isZeroBelow(base, offset, length))) {
      await copyUp(overlay, { offset, data: Buffer.alloc(length) });
    }
  }
}

/** Makes clusters zero and gives back what the file has there; where it cannot be given back, it is just not looked at. */
async function punchClusters(overlay: Overlay, offset: number, length: number): Promise<void> {
  const { states, target } = overlay;
  const written = [...states.runs(offset, length)].filter(({ state }) => state === 'data');
  states.set(Math.floor(offset / CLUSTER), Math.ceil(length / CLUSTER), 'zero');
  for (const run of written) await punchHole(target.handle.fd, run.offset, run.length);
}

async function isZeroBelow(base: DiskSource, offset: number, length: number): Promise<boolean> {
  const [first] = await base.extents(offset, length);
  return first !== undefined && first.kind !== 'data' && first.length === length;
}
