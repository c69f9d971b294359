import type { EncoderOptions, XzEncoderLibrary } from './encode-liblzma.js';

/** How much of the memory that is free may be taken. */
const SHARE = 0.8;

/**
 * Blocks that each job may leave waiting where blocks are taken over: those are ready in no time, and would have to wait for a block in
 * front of them that is packed, while no other is.
 */
const REUSE_WAITING = 4;

/** What packing will take. */
export interface EncodePlan {
  /** Blocks packed at once. */
  readonly jobs: number;
  /** Bytes of packed blocks that may wait for those in front of them. */
  readonly window: number;
  /** Bytes of memory that each takes. */
  readonly memoryOfEach: number;
}

/**
 * At most `wanted` jobs, at least one, that fit together into the memory there is: each has an encoder, a block of content, as much
 * for what becomes of it, and as much again for what waits to be written; to take over blocks, a decoder and a block of a former file, more that
 * waits, and one job more: each stands still while it compares.
 */
export function planJobs(
  library: XzEncoderLibrary,
  options: EncoderOptions & {
    readonly wanted: number;
    /** Blocks are decoded and compared too. */
    readonly reuse?: boolean | undefined;
    readonly available?: number | undefined;
  },
): EncodePlan {
  const { blockSize, reuse = false } = options;
  const waiting = reuse ? REUSE_WAITING : 1;
  const memoryOfEach = library.memoryOf(options) + ((reuse ? 4 : 2) + waiting) * blockSize;
  const wanted = options.wanted + (reuse ? 1 : 0);
  const available = options.available ?? process.availableMemory();
  const jobs = Math.max(1, Math.min(wanted, Math.floor((available * SHARE) / memoryOfEach)));
  return { jobs, memoryOfEach, window: jobs * waiting * blockSize };
}
