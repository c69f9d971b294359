import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dataRanges } from '../image/extents.js';
import { openEmptyFile } from '../image/raw-writer.js';
import { writeFully } from '../image/write-fully.js';
import { readFully } from '../io/file-source.js';
import { writeError } from '../io/free-space.js';
import { seekData } from '../io/libc.js';
import { addressOf } from '../io/native.js';
import { forEachParallel } from '../io/parallel.js';
import { type PickWay, type Way, pickFaster } from './pick-faster.js';

/** How a file is copied. */
export interface SparseCopyOptions {
  readonly jobs: number;
  /** Called with bytes of data (not of holes) done since the last call. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes read and written at once. */
const PIECE = 2 * 1024 * 1024;

/** What O_DIRECT wants memory, offsets and lengths to be multiples of: no disk has larger blocks. */
const ALIGNMENT = 4096;

/** Two writers are enough to keep a disk busy; more only wait for each other. */
const MOST_JOBS = 2;

/** One of the two files of a copy, open twice. */
interface End {
  readonly path: string;
  readonly handle: FileHandle;
  /** Past the page cache; undefined where the filesystem has no such way. */
  readonly direct: FileHandle | undefined;
  readonly way: PickWay;
}

interface Copy {
  readonly from: End;
  readonly to: End;
}

/**
 * Makes the new, empty file `to` a copy of the file `from` with the same holes. Pieces are written through the page cache, or past
 * it, as has been faster so far: the cache wins on slow disks, the other way on fast ones and where memory is slow to get.
 *
 * @returns false when data cannot be told from holes here; nothing has been written then
 * @throws TSB_NO_SPACE, TSB_IO and the others of `writeError`
 */
export async function copySparse(from: string, to: string, options: SparseCopyOptions): Promise<boolean> {
  await using source = await open(from, 'r');
  const { size } = await source.stat();
  if (seekData(source.fd, 0) === undefined) return false;
  const target = await openEmptyFile(to);
  await using handle = target.handle;
  await handle.truncate(size).catch((error: unknown) => {
    throw writeError(to, error);
  });
  const directs = [
    await openDirect(from, constants.O_RDONLY),
    await openDirect(to, constants.O_WRONLY),
  ] as const;
  const end = (path: string, cached: FileHandle, direct: FileHandle | undefined): End => {
    return { path, handle: cached, direct, way: pickFaster(direct !== undefined) };
  };
  try {
    await copyPieces({ from: end(from, source, directs[0]), to: end(to, handle, directs[1]) }, size, options);
  } finally {
    for (const direct of directs) await direct?.close();
  }
  return true;
}

async function copyPieces({ from, to }: Copy, size: number, options: SparseCopyOptions): Promise<void> {
  const { jobs, onProgress } = options;
  const buffers: Buffer[] = [];
  const copyPiece = async ({ offset, length }: Piece, signal: AbortSignal): Promise<void> => {
    const buffer = buffers.pop() ?? alignedBuffer(PIECE);
    const data = buffer.subarray(0, length);
    await transfer(
      from,
      { data, offset },
      {
        direct: async (handle) => (await handle.read(data, 0, length, offset)).bytesRead,
        cached: () => readFully(from.path, from.handle, { data, offset, signal }),
      },
    );
    await transfer(
      to,
      { data, offset },
      {
        direct: async (handle) => (await handle.write(data, 0, length, offset)).bytesWritten,
        cached: () => writeFully(to, offset, data),
      },
    );
    buffers.push(buffer);
    onProgress?.(length);
  };
  const pieces = piecesOf(dataRanges(from.handle.fd, size));
  await forEachParallel(pieces, copyPiece, { jobs: Math.min(jobs, MOST_JOBS), signal: options.signal });
}

/** Reads or writes a piece the faster way; what cannot be done, or not as a whole, past the page cache is done through it. */
async function transfer(
  { direct, way }: End,
  { data, offset }: { data: Buffer; offset: number },
  by: { direct: (handle: FileHandle) => Promise<number>; cached: () => Promise<void> },
): Promise<void> {
  const whole = offset % ALIGNMENT === 0 && data.length % ALIGNMENT === 0;
  const chosen: Way = whole ? way.next() : 'cached';
  const begin = performance.now();
  if (chosen === 'direct' && direct) {
    const done = await by.direct(direct).catch(() => 0);
    if (done < data.length) {
      way.never('direct');
      await by.cached();
    }
  } else await by.cached();
  if (data.length === PIECE) way.took(chosen, performance.now() - begin);
}

async function openDirect(path: string, access: number): Promise<FileHandle | undefined> {
  return open(path, access | constants.O_DIRECT).catch(() => undefined);
}

/** Memory that O_DIRECT takes. */
function alignedBuffer(length: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(length + ALIGNMENT);
  const start = (ALIGNMENT - Number(addressOf(memory) % BigInt(ALIGNMENT))) % ALIGNMENT;
  return memory.subarray(start, start + length);
}

interface Piece {
  readonly offset: number;
  readonly length: number;
}

/** The ranges in pieces that end at multiples of their size. */
function* piecesOf(ranges: Iterable<Piece>): Iterable<Piece> {
  for (const { offset, length } of ranges) {
    const end = offset + length;
    for (let at = offset; at < end;) {
      const next = Math.min(end, at + PIECE - (at % PIECE));
      yield { offset: at, length: next - at };
      at = next;
    }
  }
}
