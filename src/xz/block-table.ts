/** One block: where it is in the file and which part of the content it holds. All numbers are bytes. */
export interface XzBlock {
  /** Counted from 0 over the whole file. */
  readonly number: number;
  /** Index in `XzIndex.streams`. */
  readonly stream: number;
  readonly compressedOffset: number;
  /** Block header, compressed data and check, without padding: what the index records. */
  readonly unpaddedSize: number;
  /** `unpaddedSize` with the padding to a multiple of 4. */
  readonly totalSize: number;
  readonly uncompressedOffset: number;
  readonly uncompressedSize: number;
}

/** One stream of the file. */
export interface XzStream {
  readonly compressedOffset: number;
  /** From the stream's header to the end of its footer, without stream padding. */
  readonly compressedSize: number;
  readonly uncompressedOffset: number;
  readonly uncompressedSize: number;
  /** Number of the stream's first block, when it has any. */
  readonly firstBlock: number;
  readonly blockCount: number;
  /** Id of the integrity check: 0 none, 1 CRC32, 4 CRC64, 10 SHA-256. */
  readonly check: number;
  /** Bytes of the stream's index field. */
  readonly indexSize: number;
  /** Zero bytes between this stream and the next, or the end of the file. */
  readonly padding: number;
}

/** Where everything is in an xz file. */
export interface XzIndex {
  readonly uncompressedSize: number;
  /** Size of the file. */
  readonly compressedSize: number;
  readonly streams: readonly XzStream[];
  readonly blockCount: number;
  /** Block `number`, from 0. Throws RangeError when there is no such block. */
  block(number: number): XzBlock;
  blocks(): Iterable<XzBlock>;
  /** Number of the block that holds the content byte at `uncompressedOffset`. Throws RangeError outside the content. */
  find(uncompressedOffset: number): number;
}

/** `size` rounded up to the multiple of 4 that every block and index field is padded to. */
export function padTo4(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** The two numbers that an index records of each block, in file order. */
export interface BlockRecords {
  readonly unpaddedSizes: Float64Array;
  readonly uncompressedSizes: Float64Array;
}

/**
 * The XzIndex of `streams`, in file order, with the records of all their blocks, in file order. The caller has checked that
 * all sums are safe integers and that the blocks fill their streams.
 */
export function buildXzIndex(
  compressedSize: number,
  streams: readonly XzStream[],
  { unpaddedSizes, uncompressedSizes }: BlockRecords,
): XzIndex {
  const blockCount = unpaddedSizes.length;
  const { compressedOffsets, uncompressedOffsets } = blockOffsets(streams, {
    unpaddedSizes,
    uncompressedSizes,
  });
  const uncompressedSize = uncompressedOffsets[blockCount] ?? 0;
  const block = (number: number): XzBlock => {
    if (!(number >= 0 && number < blockCount)) throw new RangeError(`no block ${number} of ${blockCount}`);
    const unpaddedSize = unpaddedSizes[number] ?? 0;
    return {
      number,
      stream: lastAtMost(streams.length, (index) => streams[index]?.firstBlock ?? 0, number),
      compressedOffset: compressedOffsets[number] ?? 0,
      unpaddedSize,
      totalSize: padTo4(unpaddedSize),
      uncompressedOffset: uncompressedOffsets[number] ?? 0,
      uncompressedSize: uncompressedSizes[number] ?? 0,
    };
  };
  return {
    uncompressedSize,
    compressedSize,
    streams,
    blockCount,
    block,
    *blocks() {
      for (let number = 0; number < blockCount; number += 1) yield block(number);
    },
    find(offset) {
      if (!(offset >= 0 && offset < uncompressedSize))
        throw new RangeError(`offset ${offset} is outside the ${uncompressedSize} bytes of content`);
      return lastAtMost(blockCount, (index) => uncompressedOffsets[index] ?? 0, offset);
    },
  };
}

function blockOffsets(
  streams: readonly XzStream[],
  { unpaddedSizes, uncompressedSizes }: BlockRecords,
): { compressedOffsets: Float64Array; uncompressedOffsets: Float64Array } {
  const compressedOffsets = new Float64Array(unpaddedSizes.length);
  const uncompressedOffsets = new Float64Array(unpaddedSizes.length + 1);
  let uncompressed = 0;
  for (const stream of streams) {
    let compressed = stream.compressedOffset + 12;
    for (let number = stream.firstBlock; number < stream.firstBlock + stream.blockCount; number += 1) {
      compressedOffsets[number] = compressed;
      compressed += padTo4(unpaddedSizes[number] ?? 0);
      uncompressed += uncompressedSizes[number] ?? 0;
      uncompressedOffsets[number + 1] = uncompressed;
    }
  }
  return { compressedOffsets, uncompressedOffsets };
}

/** The last of `count` ascending keys that is not above `value`. Keys may repeat: empty blocks, empty streams. */
function lastAtMost(count: number, keyOf: (index: number) => number, value: number): number {
  let low = 0;
  let high = count;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (keyOf(middle) <= value) low = middle;
    else high = middle;
  }
  return low;
}
