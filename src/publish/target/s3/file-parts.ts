import { createHash } from 'node:crypto';

const MIB = 1024 ** 2;
/** Larger files are sent in parts. */
export const SMALLEST_PART = 16 * MIB;
/** What the protocol allows. */
const MOST_PARTS = 10_000;

/** A part of a file: its number counts from 1. */
export interface Part {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
}

/** The parts in which a file of `size` bytes is sent: as few as 16 MiB each gives, or larger ones where those were too many. */
export function partsOf(size: number): Part[] {
  const length = Math.max(SMALLEST_PART, Math.ceil(size / MOST_PARTS / MIB) * MIB);
  return Array.from({ length: Math.ceil(size / length) }, (_, at) => ({
    number: at + 1,
    offset: at * length,
    length: Math.min(length, size - at * length),
  }));
}

/** The MD5 of a part: servers compare it with what arrives, and name the part by it. */
export function md5(data: Uint8Array): Buffer {
  return createHash('md5').update(data).digest();
}
