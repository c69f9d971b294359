import { isAllZero } from '../io/all-zero.js';
import type { ByteSource } from '../io/byte-source.js';
import { decodeJobs } from '../io/native.js';
import type { DecodeSegmentOptions, SegmentedContent } from '../io/segments.js';
import type { XzBlock, XzIndex } from './block-table.js';
import type { BlockVerifier } from './block-verifier.js';
import { BlockFetches } from './block-fetches.js';
import { readCompressedBlock } from './compressed-block.js';
import { decodeBlock } from './decode-block.js';
import { DICTIONARY_LIMIT } from './decode-xz.js';
import { type BlockDecoder, loadXzEngine } from './engine.js';
import { freeNow } from './free-now.js';
import { REMEMBERED_BLOCK } from './zero-blocks.js';
import { ZeroSurvey } from './zero-survey.js';

/** How the blocks are decoded. */
export interface XzSegmentsOptions {
  /** Judges the compressed bytes of every block before any of it is decoded. */
  readonly verify?: BlockVerifier | undefined;
  /** Largest dictionary accepted, in bytes. */
  readonly dictionaryLimit?: number | undefined;
}

/** Small, because a read waits for half a slice too much on average; smaller still costs more calls than it gains. */
const SLICE = 512 * 1024;

/**
 * The blocks of an xz file as segments (blocks without content are left out). Each decoding fetches its block by one read of
 * exactly its bytes (only above 32 MiB by several), so that it costs one request over HTTP.
 *
 * Slices are handed over before the block's integrity check, at its end, is known; only the last one waits for it. With `verify`
 * the compressed bytes have been proven before.
 *
 * Disposing the result ends what is under way and disposes `source`.
 *
 * @throws (from `decode`) TSB_XZ_CORRUPT, TSB_XZ_UNSUPPORTED, TSB_XZ_LIMIT, TSB_TOOL_MISSING, what `verify` and the source throw
 */
export function openXzSegments(
  source: ByteSource,
  index: XzIndex,
  options: XzSegmentsOptions = {},
): SegmentedContent {
  const closing = new AbortController();
  const decoders = new DecoderPool(options.dictionaryLimit ?? DICTIONARY_LIMIT);
  const blocks = blocksWithContent(index);
  const decode = (
    block: XzBlock,
    pieces: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> => {
    const check = index.streams[block.stream]?.check ?? 0;
    return decoders.decode({ source, block, check, pieces, signal });
  };
  const survey = new ZeroSurvey(source, index, {
    decode: (block, whole) => decode(block, onePiece(whole)),
    verify: options.verify,
    signal: closing.signal,
  });
  const fetches = new BlockFetches(source);
  async function* decodeSegment(number: number, { signal }: DecodeSegmentOptions): ReturnType<typeof decode> {
    const block = index.block(blocks.numberOf(number));
    let whole: Uint8Array | undefined;
    let zero = true;
    const fetched = fetches.take(block, signal);
    const pieces = readCompressedBlock(source, block, { fetched, verify: options.verify, signal });
    const watched = passing(
      pieces,
      (piece) => (whole = piece.length === block.totalSize ? piece : undefined),
    );
    for await (const slice of decode(block, watched, signal)) {
      zero &&= isAllZero(slice);
      yield slice;
    }
    if (!whole) return;
    if (zero && whole.length <= REMEMBERED_BLOCK) survey.learn(block, whole);
    else freeNow(whole);
  }
  return {
    name: source.name,
    size: index.uncompressedSize,
    segmentCount: blocks.count,
    segment(number) {
      const block = index.block(blocks.numberOf(number));
      return { number, offset: block.uncompressedOffset, size: block.uncompressedSize };
    },
    find: (offset) => blocks.segmentOf(index.find(offset)),
    decode: decodeSegment,
    prepare: (number) => fetches.begin(index.block(blocks.numberOf(number))),
    isZero: (number) => survey.isZero(blocks.numberOf(number)),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all([survey.settle(), fetches.close()]);
      decoders.close();
      await source[Symbol.asyncDispose]();
    },
  };
}

/** Decoders that are idle, kept because each has its dictionary allocated. */
class DecoderPool {
  readonly #idle: BlockDecoder[] = [];
  #closed = false;

  constructor(private readonly dictionaryLimit: number) {}

  /** As `decodeBlock`, except that the last slice comes only when sizes and check have been found right. */
  async *decode(input: Parameters<typeof decodeBlock>[1]): AsyncGenerator<Uint8Array, void> {
    const decoder = this.#idle.pop() ?? (await this.#open());
    const { uncompressedSize } = input.block;
    const slices = decodeBlock(decoder, input);
    try {
      for (let done = 0; ;) {
        const { value } = await slices.next();
        if (!value) return;
        done += value.length;
        if (done < uncompressedSize) {
          yield value;
          continue;
        }
        const last = Buffer.from(value);
        await slices.next();
        yield last;
      }
    } finally {
      await slices.return();
      if (this.#closed || this.#idle.length >= decodeJobs()) decoder[Symbol.dispose]();
      else this.#idle.push(decoder);
    }
  }

  close(): void {
    this.#closed = true;
    for (const decoder of this.#idle.splice(0)) decoder[Symbol.dispose]();
  }

  async #open(): Promise<BlockDecoder> {
    const engine = await loadXzEngine();
    return engine.openDecoder({ sliceSize: SLICE, dictionaryLimit: this.dictionaryLimit });
  }
}

/** Numbers of the blocks that hold something, and back. */
function blocksWithContent(index: XzIndex): {
  readonly count: number;
  numberOf(segment: number): number;
  segmentOf(block: number): number;
} {
  const numbers = new Uint32Array(index.blockCount);
  const segments = new Uint32Array(index.blockCount);
  let count = 0;
  for (const { number, uncompressedSize } of index.blocks()) {
    segments[number] = count;
    if (uncompressedSize > 0) numbers[count++] = number;
  }
  return {
    count,
    numberOf(segment) {
      if (!(segment >= 0 && segment < count)) throw new RangeError(`no segment ${segment} of ${count}`);
      return numbers[segment] ?? 0;
    },
    segmentOf: (block) => segments[block] ?? 0,
  };
}

async function* passing(
  pieces: AsyncIterable<Uint8Array>,
  see: (piece: Uint8Array) => void,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of pieces) {
    see(piece);
    yield piece;
  }
}

// eslint would have a generator without `await` be synchronous; decoders take asynchronous ones only.
function onePiece(piece: Uint8Array): AsyncIterable<Uint8Array> {
  return (async function* () {
    yield await Promise.resolve(piece);
  })();
}
