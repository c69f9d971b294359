import type { FileHandle } from 'node:fs/promises';
import { readFully } from '../io/file-source.js';
import { seekData, seekHole } from '../io/libc.js';
import { splitZeroRuns } from './zero.js';

/** A range of a disk: holding data, or (`data: false`) certainly zero. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly data: boolean;
}

const SCAN_BYTES = 4 * 1024 * 1024;

/**
 * The ranges of an open file of `size` bytes that may hold data, ascending, from the filesystem's own knowledge. Where
 * that cannot be had, the whole file is one range.
 */
export function* dataRanges(fd: number, size: number): Iterable<{ offset: number; length: number }> {
  for (let at = 0; at < size;) {
    const start = seekData(fd, at) ?? at;
    if (start >= size) return;
    const hole = seekHole(fd, start) ?? size;
    // A file changed while it is looked at could say that data ends where it begins: then all the rest is data.
    const end = hole > start ? Math.min(size, hole) : size;
    yield { offset: start, length: end - start };
    at = end;
  }
}

/**
 * The extents of an open file, covering it in order: holes as the filesystem knows them, or, where it cannot tell, zero
 * runs of 64 KiB found by reading.
 *
 * @throws TSB_IO when the file cannot be read
 */
export async function* readExtents(
  file: { readonly path: string; readonly handle: FileHandle },
  signal?: AbortSignal,
): AsyncIterable<Extent> {
  const { size } = await file.handle.stat();
  if (seekData(file.handle.fd, 0) === undefined) {
    yield* scanExtents(file, size, signal);
    return;
  }
  let at = 0;
  for (const { offset, length } of dataRanges(file.handle.fd, size)) {
    signal?.throwIfAborted();
    if (offset > at) yield { offset: at, length: offset - at, data: false };
    yield { offset, length, data: true };
    at = offset + length;
  }
  if (size > at) yield { offset: at, length: size - at, data: false };
}

async function* scanExtents(
  file: { readonly path: string; readonly handle: FileHandle },
  size: number,
  signal?: AbortSignal,
): AsyncIterable<Extent> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(SCAN_BYTES, size));
  let pending: Extent | undefined;
  for (let at = 0; at < size; at += buffer.length) {
    const data = buffer.subarray(0, Math.min(buffer.length, size - at));
    await readFully(file.path, file.handle, { data, offset: at, signal });
    for (const run of splitZeroRuns(data, at)) {
      const extent = { offset: run.offset, length: run.length, data: run.data !== undefined };
      if (pending?.data === extent.data) pending = { ...pending, length: pending.length + extent.length };
      else {
        if (pending) yield pending;
        pending = extent;
      }
    }
  }
  if (pending) yield pending;
}
