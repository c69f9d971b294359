import type { XzBlock } from './block-table.js';

/** Largest compressed block that is remembered: zeros up to some 7 GiB compress to this. */
export const REMEMBERED_BLOCK = 1024 * 1024;
const REMEMBERED_BLOCKS = 8;

interface ZeroBlock {
  readonly unpaddedSize: number;
  readonly uncompressedSize: number;
  readonly check: number;
  readonly bytes: Uint8Array;
}

/**
 * Blocks that were decoded and found to be all zero, so that equal ones need not be decoded.
 *
 * What a block decodes to depends on nothing but its bytes and the check type in its stream's flags, and whether it is accepted
 * depends besides on the two sizes in the index. All of these are compared, every byte included, so a match is exact.
 */
export class ZeroBlocks {
  readonly #known: ZeroBlock[] = [];

  /** Whether a block with these bytes, all `totalSize` of them, is known to decode to zeros. */
  has(block: XzBlock, check: number, bytes: Uint8Array): boolean {
    return this.#known.some(
      (known) =>
        known.uncompressedSize === block.uncompressedSize &&
        known.unpaddedSize === block.unpaddedSize &&
        known.check === check &&
        Buffer.compare(known.bytes, bytes) === 0,
    );
  }

  /** Remembers a block that was decoded without error to zeros only. Of many different ones only some are kept. */
  add(block: XzBlock, check: number, bytes: Uint8Array): void {
    if (bytes.length > REMEMBERED_BLOCK || this.has(block, check, bytes)) return;
    if (this.#known.length >= REMEMBERED_BLOCKS) this.#known.shift();
    const { unpaddedSize, uncompressedSize } = block;
    this.#known.push({ unpaddedSize, uncompressedSize, check, bytes });
  }
}
