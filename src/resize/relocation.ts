import { type Partition, type Range, endOf } from './partition.js';

/**
 * How a disk is pulled apart: everything from byte `split` on, the end of the partition that grows, moves up by `delta`
 * bytes. One number for all keeps every distance and alignment behind the growing partition as it was.
 */
export interface Relocation {
  readonly split: number;
  readonly delta: number;
  /** Size of the new disk in bytes. */
  readonly targetSize: number;
  /** No partition may end behind this byte of the new disk. */
  readonly usableEnd: number;
}

/** Where a byte of the old disk is on the new one. */
export function movedOffset(move: Relocation, offset: number): number {
  return offset >= move.split ? offset + move.delta : offset;
}

/** The range of `partition` on the new disk. An extended partition gives up free space at its end that no longer fits. */
export function movedPartition(move: Relocation, partition: Partition): Range {
  const offset = movedOffset(move, partition.offset);
  const end = movedOffset(move, endOf(partition));
  const limit = partition.role === 'extended' ? Math.min(end, move.usableEnd) : end;
  return { offset, length: limit - offset };
}

/** Bytes that are written on top of everything that was copied. */
export interface Literal {
  readonly offset: number;
  readonly data: Uint8Array;
}
