import { TsbuilderError } from '../errors.js';
import { forEachParallel } from '../io/parallel.js';
import type { EncodedBlock } from './encode-block.js';
import { encodeStreamEnd } from './encode-index.js';
import { type XzPacking, assertPacking, checkOf } from './encode-options.js';
import { orderBlocks } from './encode-order.js';
import type { PackedBefore } from './encode-reuse.js';
import { openBenches } from './encode-work.js';
import { loadEncoders } from './load-encoders.js';
import { LZMA, LzmaFailure } from './lzma-result.js';
import { encodeStreamHeader } from './stream-flags.js';

/** What to pack, and who takes the file. */
export interface EncodeXzOptions extends XzPacking {
  /** Bytes of content. */
  readonly size: number;
  /** Blocks packed at once, at most. The file does not depend on it. */
  readonly jobs: number;
  /**
   * Puts the content from `offset` on into all of `into`, which holds anything. False: it is zero throughout, and `into` was left as
   * it was. Calls begin in the order of the content; up to `jobs` run at once.
   */
  readonly fill: (offset: number, into: Buffer, signal: AbortSignal) => Promise<boolean>;
  /** Of which blocks are taken over where their content is the same. The file does not depend on it. */
  readonly before?: PackedBefore | undefined;
  /** Takes the bytes of the file, in order, one call at a time. */
  readonly write: (data: Uint8Array) => Promise<void>;
  /** The content from `offset` on is done with. */
  readonly onProgress?: ((offset: number, length: number) => void) | undefined;
  /** Fewer jobs than wanted were begun, because there is no memory for more. */
  readonly onFewerJobs?: ((jobs: number, memoryOfEach: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A file that was packed: what it must hold. */
export interface EncodedXz {
  readonly size: number;
  readonly blockSize: number;
  readonly packedSize: number;
  /** Blocks that are zero throughout. */
  readonly zeroBlocks: number;
  /** Blocks that were taken over from a file packed before. */
  readonly reusedBlocks: number;
  /** SHA-256 of each block's content; undefined for one that is zero throughout. */
  readonly digests: readonly (Uint8Array | undefined)[];
}

/**
 * Packs content into one xz stream of independent blocks, with their sizes in their headers: `jobs` workers take the next block each.
 * A block of zeros is packed once. The bytes depend on the content, the packing and the release of liblzma, on nothing else.
 *
 * The first error (or abort) stops the others; all are awaited before it is thrown.
 *
 * @throws TSB_USAGE, TSB_TOOL_MISSING when no liblzma can be loaded, TSB_XZ_LIMIT when there is no memory, what `fill` and `write` throw
 */
export async function encodeXz(options: EncodeXzOptions): Promise<EncodedXz> {
  assertPacking(options);
  const { size, blockSize, write, signal } = options;
  const work = openBenches(options, await loadEncoders());
  const count = Math.ceil(size / blockSize);
  const records: Pick<EncodedBlock, 'unpaddedSize' | 'uncompressedSize'>[] = [];
  const digests = new Array<Uint8Array | undefined>(count).fill(undefined);
  let packedSize = 0;
  let reusedBlocks = 0;
  const append = async (data: Uint8Array): Promise<void> => {
    await write(data);
    packedSize += data.length;
  };
  const order = orderBlocks(
    async ({ bytes, ...record }) => {
      await append(bytes);
      records.push(record);
    },
    { window: work.window },
  );
  const check = checkOf(options.check).id;
  try {
    await append(encodeStreamHeader(check));
    await forEachParallel(
      numbers(count),
      async (number, inner) => {
        const offset = number * blockSize;
        const { block, zero, reused } = await work.pack(
          { offset, length: Math.min(blockSize, size - offset) },
          inner,
        );
        if (!zero) digests[number] = block.digest;
        if (reused) reusedBlocks += 1;
        await order.put(number, block, inner);
      },
      { jobs: work.lanes, signal },
    );
    await order.finish();
    await append(encodeStreamEnd(records, check));
  } catch (error) {
    await order.finish().catch(() => undefined);
    throw asError(error, options);
  } finally {
    work[Symbol.dispose]();
  }
  const zeroBlocks = digests.filter((digest) => digest === undefined).length;
  return { size, blockSize, packedSize, zeroBlocks, reusedBlocks, digests };
}

function* numbers(count: number): Iterable<number> {
  for (let number = 0; number < count; number += 1) yield number;
}

/** What liblzma could not do, as the program's error. */
function asError(error: unknown, { preset, blockSize }: XzPacking): unknown {
  if (!(error instanceof LzmaFailure)) return error;
  const noMemory = error.result === LZMA.memError;
  const problem = noMemory ? 'there is not enough memory' : `liblzma returned ${error.result}`;
  return new TsbuilderError(
    noMemory ? 'TSB_XZ_LIMIT' : 'TSB_INTERNAL',
    `blocks of ${blockSize} bytes cannot be packed with preset ${preset}: ${problem}`,
    { hint: noMemory ? 'Choose a lower preset, smaller blocks or fewer jobs.' : undefined, cause: error },
  );
}
