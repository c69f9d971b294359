import { createHash } from 'node:crypto';
import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import type { XzBlock, XzIndex } from './block-table.js';
import type { BlockVerifier } from './block-verifier.js';
import { decodeBlock } from './decode-block.js';
import { DICTIONARY_LIMIT } from './decode-xz.js';
import { type EncodedBlock, blockHeader } from './encode-block.js';
import { type XzCheck, checkOf } from './encode-options.js';
import type { XzEngine } from './engine.js';

/** A file that was packed in the very same way before (`packingName`). Blocks with the same content need not be packed again. */
export interface PackedBefore {
  readonly source: ByteSource;
  /** Of `source`, out of bytes that are vouched for. */
  readonly index: XzIndex;
  /** Vouches for the bytes of its blocks. */
  readonly verify: BlockVerifier;
  /** A block of it cannot be used, and is packed anew. */
  readonly onDamage: (error: TsbuilderError) => void;
}

/** Takes blocks out of a file packed before, one at a time. Dispose it when none is being taken. */
export interface BlockReuse extends Disposable {
  /**
   * The block at `offset` when it decodes to exactly `content`, and is as it would be packed now; undefined when it has to be packed.
   *
   * @throws the reason when `signal` is aborted
   */
  take(content: Buffer, offset: number, signal: AbortSignal): Promise<EncodedBlock | undefined>;
}

/** What a block would be packed with. */
interface Packing {
  readonly check: XzCheck;
  /** LZMA2's property byte. */
  readonly property: number;
}

const SLICE = 1024 * 1024;

/** Makes ready to take blocks of `before` by a decoder of `engine`. */
export function openReuse(before: PackedBefore, packing: Packing, engine: XzEngine): BlockReuse {
  const decoder = engine.openDecoder({ sliceSize: SLICE, dictionaryLimit: DICTIONARY_LIMIT });
  const { source, index, verify } = before;
  const check = checkOf(packing.check);
  const holds = async (
    input: { block: XzBlock; whole: Uint8Array; signal: AbortSignal },
    content: Buffer,
  ): Promise<boolean> => {
    let done = 0;
    for await (const slice of decodeBlock(decoder, { ...input, source, check: check.id })) {
      input.signal.throwIfAborted();
      if (content.compare(slice, 0, slice.length, done, done + slice.length) !== 0) return false;
      done += slice.length;
    }
    return true;
  };
  return {
    async take(content, offset, signal) {
      const block = sameBlock(index, { offset, length: content.length, check: check.id });
      if (!block) return undefined;
      try {
        const whole = await source.read(block.compressedOffset, block.totalSize, signal);
        verify.check(block.number, whole);
        if (!hasHeader(whole, block, packing)) return undefined;
        if (!(await holds({ block, whole, signal }, content))) return undefined;
        const digest = createHash('sha256').update(content).digest();
        const { unpaddedSize, uncompressedSize } = block;
        return { bytes: whole, unpaddedSize, uncompressedSize, digest };
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof TsbuilderError)) throw error;
        before.onDamage(error);
        return undefined;
      }
    },
    [Symbol.dispose]: () => decoder[Symbol.dispose](),
  };
}

/** The block that holds these very bytes of the content, with such a check. */
function sameBlock(
  index: XzIndex,
  { offset, length, check }: { offset: number; length: number; check: number },
): XzBlock | undefined {
  if (offset >= index.uncompressedSize) return undefined;
  const block = index.block(index.find(offset));
  const same = block.uncompressedOffset === offset && block.uncompressedSize === length;
  return same && index.streams[block.stream]?.check === check ? block : undefined;
}

/** Whether a block begins as `encodeBlock` would have it begin: other sizes of its fields, filters or dictionaries do not. */
function hasHeader(whole: Uint8Array, block: XzBlock, { check, property }: Packing): boolean {
  const length = ((whole[0] ?? 0) + 1) * 4;
  const packedSize = block.unpaddedSize - length - checkOf(check).size;
  if (packedSize < 1) return false;
  return blockHeader({ packedSize, size: block.uncompressedSize, property }).equals(
    whole.subarray(0, length),
  );
}
