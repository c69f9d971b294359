import { isAllZero } from '../io/all-zero.js';
import { type EncodedBlock, encodeBlock, packedBound } from './encode-block.js';
import { planJobs } from './encode-jobs.js';
import type { Lzma2Encoder, XzEncoderLibrary } from './encode-liblzma.js';
import type { EncodeXzOptions } from './encode-xz.js';

/** What packs blocks: encoders and memory that are used again from block to block. Dispose it when none is being packed. */
export interface Benches extends Disposable {
  /** How many blocks there is memory for at once. */
  readonly jobs: number;
  /** Packs the block at `offset`. */
  pack(range: { offset: number; length: number }, signal: AbortSignal): Promise<PackedBlock>;
}

/** A packed block, and whether it is zero throughout. */
interface PackedBlock {
  readonly block: EncodedBlock;
  readonly zero: boolean;
}

interface Bench {
  readonly encoder: Lzma2Encoder;
  readonly input: Buffer;
  readonly output: Buffer;
}

type Options = Pick<
  EncodeXzOptions,
  'size' | 'blockSize' | 'preset' | 'check' | 'jobs' | 'fill' | 'onProgress' | 'onFewerJobs'
>;

/** Makes room for the jobs that `options` ask for, or for as many as there is memory for. */
export function openBenches(options: Options, library: XzEncoderLibrary): Benches {
  const { size, preset, check, jobs: wanted, fill, onProgress } = options;
  const blockSize = Math.min(options.blockSize, Math.max(1, size));
  const { jobs, memoryOfEach } = planJobs(library, { preset, blockSize, wanted });
  if (jobs < wanted) options.onFewerJobs?.(jobs, memoryOfEach);
  const all: Bench[] = [];
  const idle: Bench[] = [];
  /** Packed blocks of zeros by their length: the last one may be shorter. */
  const zeros = new Map<number, Promise<EncodedBlock>>();
  const pack = (content: Buffer, bench: Bench, onSlice: (bytes: number) => void): Promise<EncodedBlock> =>
    encodeBlock(content, { ...bench, library, check, onSlice });
  const packZeros = (content: Buffer, bench: Bench, signal: AbortSignal): Promise<EncodedBlock> => {
    const known = zeros.get(content.length);
    if (known) return known;
    const packing = pack(content.fill(0), bench, () => signal.throwIfAborted());
    zeros.set(content.length, packing);
    return packing;
  };
  return {
    jobs,
    async pack({ offset, length }, signal) {
      const bench = idle.pop() ?? openBench({ preset, blockSize }, { library, all });
      const content = bench.input.subarray(0, length);
      const zero = !(await fill(offset, content, signal)) || isAllZero(content);
      let at = offset;
      const advance = (bytes: number): void => {
        signal.throwIfAborted();
        onProgress?.(at, bytes);
        at += bytes;
      };
      const block = await (zero ? packZeros(content, bench, signal) : pack(content, bench, advance));
      if (zero) advance(length);
      idle.push(bench);
      return { block, zero };
    },
    [Symbol.dispose]() {
      for (const { encoder } of all) encoder[Symbol.dispose]();
    },
  };
}

function openBench(
  encoding: { readonly preset: string; readonly blockSize: number },
  { library, all }: { readonly library: XzEncoderLibrary; readonly all: Bench[] },
): Bench {
  const bench = {
    encoder: library.openEncoder(encoding),
    input: Buffer.allocUnsafeSlow(encoding.blockSize),
    output: Buffer.allocUnsafeSlow(packedBound(encoding.blockSize)),
  };
  all.push(bench);
  return bench;
}
