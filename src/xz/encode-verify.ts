import { type Hash, createHash } from 'node:crypto';
import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { decodeXz } from './decode-xz.js';
import type { EncodedXz } from './encode-xz.js';
import { readXzIndex } from './xz-index.js';

/** How a packed file is read again. */
export interface VerifyOptions {
  readonly jobs: number;
  /** Bytes of the file that were read since the last call. */
  readonly onProgress?: ((compressedBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Decodes a packed file again: passes when it has the blocks that were packed, and each holds what was packed.
 *
 * @throws TSB_CHECKSUM_MISMATCH naming the first block found to differ, and as `readXzIndex` and `decodeXz`
 */
export async function verifyEncoded(
  file: ByteSource,
  encoded: EncodedXz,
  options: VerifyOptions,
): Promise<void> {
  const { signal, jobs, onProgress } = options;
  const { blockSize, digests, size } = encoded;
  const index = await readXzIndex(file, { signal });
  if (index.uncompressedSize !== size || index.blockCount !== digests.length) {
    throw mismatch(file, `${index.blockCount} blocks with ${index.uncompressedSize} bytes`);
  }
  const blocks = new BlockHashes(blockSize, encoded);
  const take = (offset: number, data: Uint8Array): Promise<void> => {
    const wrong = blocks.add(offset, data);
    if (wrong !== undefined) throw mismatch(file, `other content in block ${wrong}`);
    return Promise.resolve();
  };
  await decodeXz({
    ...{ source: file, index, jobs, signal, onProgress },
    onData: (offset, data) => take(offset, data),
    async onZero(offset, length) {
      if (blocks.isZero(offset)) return;
      for (let done = 0; done < length; done += ZEROS.length)
        await take(offset + done, ZEROS.subarray(0, length - done));
    },
  });
}

const ZEROS = Buffer.alloc(1024 * 1024);

/** Hashes of the blocks that are being decoded: each block's content comes in order, several blocks at once. */
class BlockHashes {
  readonly #running = new Map<number, { readonly hash: Hash; left: number }>();

  constructor(
    private readonly blockSize: number,
    private readonly encoded: EncodedXz,
  ) {}

  /** Whether the block at `offset` was zero throughout when it was packed. */
  isZero(offset: number): boolean {
    return this.encoded.digests[this.#numberAt(offset)] === undefined;
  }

  /** @returns the number of the block when it is found to differ */
  add(offset: number, data: Uint8Array): number | undefined {
    const number = this.#numberAt(offset);
    const digest = this.encoded.digests[number];
    if (!digest) return number;
    const length = Math.min(this.blockSize, this.encoded.size - number * this.blockSize);
    const block = this.#running.get(number) ?? { hash: createHash('sha256'), left: length };
    block.hash.update(data);
    block.left -= data.length;
    this.#running.set(number, block);
    if (block.left > 0) return undefined;
    this.#running.delete(number);
    return block.hash.digest().equals(digest) ? undefined : number;
  }

  #numberAt(offset: number): number {
    return Math.floor(offset / this.blockSize);
  }
}

function mismatch(file: ByteSource, found: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_CHECKSUM_MISMATCH',
    `${file.name}: what can be unpacked is not what was packed: ${found}`,
    { hint: 'Check the memory and the disk of this machine.' },
  );
}
