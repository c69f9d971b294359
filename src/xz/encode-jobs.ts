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
  /** Blocks packed at once: encoders. */
  readonly jobs: number;
  /** Blocks under way: one more, which is read, compared or written while the others are packed. */
  readonly lanes: number;
  /** Bytes of packed blocks that may wait for those in front of them. */
  readonly window: number;
  /** Bytes of memory that each job takes. */
  readonly memoryOfEach: number;
}

/**
 * At most `wanted` jobs, at least one, that fit together into the memory there is: each has an encoder, a block of content, as much
 * for what becomes of it, and as much again for what waits to be written; to take over blocks, a decoder and a block of a former file, and more that
 * waits. One lane more has all that but the encoder.
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
  const memoryOfLane = ((reuse ? 4 : 2) + waiting) * blockSize;
  const memoryOfEach = library.memoryOf(options) + memoryOfLane;
  const available = (options.available ?? process.availableMemory()) * SHARE - memoryOfLane;
  const jobs = Math.max(1, Math.min(options.wanted, Math.floor(available / memoryOfEach)));
  const lanes = jobs + 1;
  return { jobs, lanes, memoryOfEach, window: lanes * waiting * blockSize };
}
