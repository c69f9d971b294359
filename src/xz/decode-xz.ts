import type { ByteSource } from '../io/byte-source.js';
import { forEachParallel } from '../io/parallel.js';
import { isAllZero } from '../io/all-zero.js';
import type { XzBlock, XzIndex } from './block-table.js';
import { decodeBlock } from './decode-block.js';
import { type BlockDecoder, loadXzEngine } from './engine.js';
import { freeNow } from './free-now.js';
import type { BlockInput } from './one-block-stream.js';
import { REMEMBERED_BLOCK, ZeroBlocks } from './zero-blocks.js';

/** What to decode, and who takes the content. */
export interface DecodeXzOptions {
  readonly source: ByteSource;
  readonly index: XzIndex;
  /** Blocks decoded at once. Each takes its dictionary and about 8 MiB of memory. */
  readonly jobs: number;
  /**
   * Content at `offset`. `data` is reused once the promise has resolved. Calls come in any order, `jobs` at once; who lets
   * one wait for another must stop when `signal` is aborted, which tells that the other will not come.
   */
  readonly onData: (offset: number, data: Uint8Array, signal: AbortSignal) => Promise<void>;
  /** `length` bytes at `offset` are zero. */
  readonly onZero: (offset: number, length: number) => Promise<void>;
  /** How many bytes of the file were used up and how many of the content delivered since the last call. */
  readonly onProgress?: ((compressedBytes: number, uncompressedBytes: number) => void) | undefined;
  /** Bytes handed over at once, at most. */
  readonly sliceSize?: number | undefined;
  /** Largest dictionary accepted, in bytes. */
  readonly dictionaryLimit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Measured: larger slices fall out of a CPU's cache before they are written, smaller ones cost more calls. */
const SLICE = 1024 * 1024;
/** Four times what `xz -9` uses. */
export const DICTIONARY_LIMIT = 256 * 1024 * 1024;

/**
 * Decodes a whole xz file: `jobs` workers take the next block each. Every byte of the content is delivered exactly once, as
 * data or as zeros. Sizes and integrity checks of every block are verified; a block's content is delivered before its check is
 * known, so nothing may be believed until the promise has resolved.
 *
 * The first error (or abort) stops the others; all are awaited before it is thrown.
 *
 * @throws TSB_XZ_CORRUPT, TSB_XZ_UNSUPPORTED, TSB_XZ_LIMIT, TSB_TOOL_MISSING when there is no xz library
 */
export async function decodeXz(options: DecodeXzOptions): Promise<void> {
  const { index, jobs, signal } = options;
  const engine = await loadXzEngine();
  const decoders: BlockDecoder[] = [];
  const idle: BlockDecoder[] = [];
  const zeros = new ZeroBlocks();
  const openDecoder = (): BlockDecoder => {
    const decoder = engine.openDecoder({
      sliceSize: options.sliceSize ?? SLICE,
      dictionaryLimit: options.dictionaryLimit ?? DICTIONARY_LIMIT,
    });
    decoders.push(decoder);
    return decoder;
  };
  const deliver = async (block: XzBlock, inner: AbortSignal): Promise<void> => {
    const decoder = idle.pop() ?? openDecoder();
    await deliverBlock(block, { options, decoder, zeros, signal: inner });
    idle.push(decoder);
  };
  try {
    await forEachParallel(index.blocks(), deliver, { jobs: Math.min(jobs, index.blockCount), signal });
  } finally {
    for (const decoder of decoders) decoder[Symbol.dispose]();
  }
  reportRest(options);
}

interface Work {
  readonly options: DecodeXzOptions;
  readonly decoder: BlockDecoder;
  readonly zeros: ZeroBlocks;
  readonly signal: AbortSignal;
}

async function deliverBlock(block: XzBlock, work: Work): Promise<void> {
  const { source, index, onZero, onProgress } = work.options;
  const check = index.streams[block.stream]?.check ?? 0;
  const input = { source, block, check, signal: work.signal };
  if (block.totalSize > REMEMBERED_BLOCK) {
    await deliverSlices(input, work);
    return;
  }
  const whole = await source.read(block.compressedOffset, block.totalSize, work.signal);
  if (work.zeros.has(block, check, whole)) {
    await onZero(block.uncompressedOffset, block.uncompressedSize);
    onProgress?.(block.totalSize, block.uncompressedSize);
    freeNow(whole);
  } else if (await deliverSlices({ ...input, whole }, work)) {
    work.zeros.add(block, check, whole);
  } else {
    freeNow(whole);
  }
}

/** Decodes a block and hands over its slices; returns whether all of it was zero. */
async function deliverSlices(input: BlockInput, work: Work): Promise<boolean> {
  const { block } = input;
  const { onData, onZero, onProgress } = work.options;
  let done = 0;
  let zero = true;
  for await (const slice of decodeBlock(work.decoder, input)) {
    work.signal.throwIfAborted();
    const offset = block.uncompressedOffset + done;
    if (isAllZero(slice)) {
      await onZero(offset, slice.length);
    } else {
      zero = false;
      await onData(offset, slice, work.signal);
    }
    onProgress?.(compressedShare(block, done, slice.length), slice.length);
    done += slice.length;
  }
  return zero;
}

/** The part of a block's compressed bytes that stands for `length` bytes of content after `done`; the parts add up. */
function compressedShare(block: XzBlock, done: number, length: number): number {
  const upTo = (bytes: number): number => Math.floor(block.totalSize * (bytes / block.uncompressedSize));
  return upTo(done + length) - upTo(done);
}

/** Headers, indexes, footers and padding, and blocks without content, so that the progress ends at the size of the file. */
function reportRest({ index, onProgress }: DecodeXzOptions): void {
  let reported = 0;
  for (const { totalSize, uncompressedSize } of index.blocks())
    if (uncompressedSize > 0) reported += totalSize;
  onProgress?.(index.compressedSize - reported, 0);
}
