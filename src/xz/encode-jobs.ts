import type { EncoderOptions, XzEncoderLibrary } from './encode-liblzma.js';

/** How much of the memory that is free may be taken. */
const SHARE = 0.8;

/** What packing will take. */
export interface EncodePlan {
  /** Blocks packed at once. */
  readonly jobs: number;
  /** Bytes of memory that each takes. */
  readonly memoryOfEach: number;
}

/**
 * At most `wanted` jobs, at least one, that fit together into the memory there is: each has an encoder, a block of content, as much
 * for what becomes of it, and as much again for what waits to be written; to take over blocks, a decoder and a block of a former file.
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
  const memoryOfEach = library.memoryOf(options) + (options.reuse ? 5 : 3) * options.blockSize;
  const available = options.available ?? process.availableMemory();
  const jobs = Math.max(1, Math.min(options.wanted, Math.floor((available * SHARE) / memoryOfEach)));
  return { jobs, memoryOfEach };
}
