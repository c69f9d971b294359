/**
 * Knows what the compressed bytes of each block of an xz file must be: its header, data, check and padding, all `totalSize` bytes
 * of it. Block numbers are those of the index.
 */
export interface BlockVerifier {
  /** @throws TSB_CHECKSUM_MISMATCH naming the block when `compressed`, all of it, is not what it must be */
  check(number: number, compressed: Uint8Array): void;
  /** The same for a block too large to be held in memory: its bytes are given piece by piece. */
  begin(number: number): BlockCheck;
}

/** The check of one block whose bytes come piece by piece, in order. */
export interface BlockCheck {
  update(piece: Uint8Array): void;
  /** @throws TSB_CHECKSUM_MISMATCH naming the block when the pieces together are not what they must be */
  finish(): void;
}
