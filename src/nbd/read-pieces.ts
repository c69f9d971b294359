import type { DiskExtent, DiskSource } from '../io/disk-source.js';
import { knownExtents } from './disk-extents.js';

/** Most content in one chunk. Pieces end at multiples of it, where most compressed files have the ends of their blocks too. */
const SLICE_BYTES = 1024 * 1024;

/** Shorter reads are not worth the question where the disk is zero. */
const ASK_FROM_BYTES = 64 * 1024;

/** Shorter holes are sent as the zeros they are: a chunk of its own costs more. */
const HOLE_FROM_BYTES = 16 * 1024;

/** Most extents that are looked at; what is behind them is read as data. */
const MAX_EXTENTS = 1024;

/** A part of a read that becomes one chunk. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly hole?: boolean;
}

/** Cuts a read into what is sent as holes and slices of data, in order and without gaps. What is not known to be zero is data. */
export async function readPieces(
  disk: DiskSource,
  range: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): Promise<Piece[]> {
  if (range.length < ASK_FROM_BYTES) return [range];
  const pieces: Piece[] = [];
  let at = range.offset;
  for (const { offset, length } of await holesOf(disk, range, signal)) {
    pieces.push(...cutAt(SLICE_BYTES, at, offset), { offset, length, hole: true });
    at = offset + length;
  }
  return [...pieces, ...cutAt(SLICE_BYTES, at, range.offset + range.length)];
}

/** The ranges that are known to be zero and worth a chunk. A disk that cannot tell has none: its reads will say what is wrong. */
async function holesOf(
  disk: DiskSource,
  range: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): Promise<DiskExtent[]> {
  const same = (a: DiskExtent, b: DiskExtent): boolean => (a.kind === 'data') === (b.kind === 'data');
  try {
    const known = await knownExtents(disk, { ...range, limit: MAX_EXTENTS, same, signal });
    return known.filter((extent) => extent.kind !== 'data' && extent.length >= HOLE_FROM_BYTES);
  } catch {
    return [];
  }
}

/** Cuts `start..end` at every multiple of `size`. */
export function cutAt(size: number, start: number, end: number): { offset: number; length: number }[] {
  const parts: { offset: number; length: number }[] = [];
  for (let offset = start; offset < end;) {
    const next = Math.min(end, (Math.floor(offset / size) + 1) * size);
    parts.push({ offset, length: next - offset });
    offset = next;
  }
  return parts;
}
