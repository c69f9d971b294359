import { isAllZero } from '../io/all-zero.js';
import { type EncodedBlock, encodeBlock, packedBound } from './encode-block.js';
import { planJobs } from './encode-jobs.js';
import { type BlockReuse, openReuse } from './encode-reuse.js';
import type { EncodeXzOptions } from './encode-xz.js';
import { openEncoderPool } from './encoder-pool.js';
import type { PackingEngine } from './load-encoders.js';

/** What packs blocks: encoders and memory that are used again from block to block. Dispose it when none is being packed. */
export interface Benches extends Disposable {
  /** How many blocks may be under way at once. */
  readonly lanes: number;
  /** Bytes of packed blocks that may wait for their turn. */
  readonly window: number;
  /** Packs the block at `offset`. */
  pack(range: { offset: number; length: number }, signal: AbortSignal): Promise<PackedBlock>;
}

/** A packed block, whether it is zero throughout, and whether it was taken over from a file packed before. */
interface PackedBlock {
  readonly block: EncodedBlock;
  readonly zero: boolean;
  readonly reused: boolean;
}

interface Bench {
  readonly reuse: BlockReuse | undefined;
  readonly input: Buffer;
  readonly output: Buffer;
}

type Options = Pick<
  EncodeXzOptions,
  'size' | 'blockSize' | 'preset' | 'check' | 'jobs' | 'fill' | 'before' | 'onProgress' | 'onFewerJobs'
>;

/** Makes room for the jobs that `options` ask for, or for as many as there is memory for. */
export function openBenches(options: Options, engine: PackingEngine): Benches {
  const { encoders: library } = engine;
  const { size, preset, check, jobs: wanted, fill, before, onProgress } = options;
  const blockSize = Math.min(options.blockSize, Math.max(1, size));
  const { jobs, lanes, memoryOfEach, window } = planJobs(library, {
    ...{ preset, blockSize, wanted },
    reuse: before !== undefined,
  });
  if (jobs < wanted) options.onFewerJobs?.(jobs, memoryOfEach);
  const encoder = openEncoderPool(library, { preset, blockSize, jobs });
  const all: Bench[] = [];
  const idle: Bench[] = [];
  /** Packed blocks of zeros by their length: the last one may be shorter. */
  const zeros = new Map<number, Promise<EncodedBlock>>();
  const open = (): Bench => {
    const reuse = before && openReuse(before, { check, property: encoder.property }, engine);
    const bench = {
      reuse,
      input: Buffer.allocUnsafeSlow(blockSize),
      output: Buffer.allocUnsafeSlow(packedBound(blockSize)),
    };
    all.push(bench);
    return bench;
  };
  const pack = (content: Buffer, bench: Bench, onSlice: (bytes: number) => void): Promise<EncodedBlock> =>
    encodeBlock(content, { output: bench.output, encoder, library, check, onSlice });
  const packZeros = (content: Buffer, bench: Bench, signal: AbortSignal): Promise<EncodedBlock> => {
    const known = zeros.get(content.length);
    if (known) return known;
    const packing = pack(content.fill(0), bench, () => signal.throwIfAborted());
    zeros.set(content.length, packing);
    return packing;
  };
  return {
    lanes,
    window,
    async pack({ offset, length }, signal) {
      const bench = idle.pop() ?? open();
      const content = bench.input.subarray(0, length);
      const zero = !(await fill(offset, content, signal)) || isAllZero(content);
      let at = offset;
      const advance = (bytes: number): void => {
        signal.throwIfAborted();
        onProgress?.(at, bytes);
        at += bytes;
      };
      const taken = zero ? undefined : await bench.reuse?.take(content, offset, signal);
      const block =
        taken ?? (await (zero ? packZeros(content, bench, signal) : pack(content, bench, advance)));
      if (zero || taken) advance(length);
      idle.push(bench);
      return { block, zero, reused: taken !== undefined };
    },
    [Symbol.dispose]() {
      encoder[Symbol.dispose]();
      for (const { reuse } of all) reuse?.[Symbol.dispose]();
    },
  };
}
