/**
 * A new virtual disk, all zero at birth. Concurrent calls on disjoint ranges are fine; a later call wins over an
 * earlier one that is over. `data` may be reused once the call's promise resolves.
 */
export interface DiskWriter extends AsyncDisposable {
  /** Virtual size in bytes. */
  readonly size: number;
  /**
   * @throws RangeError outside the disk, TSB_NO_SPACE when the target's filesystem is full, TSB_IO for other failures
   */
  write(offset: number, data: Uint8Array): Promise<void>;
  /** Makes the range zero: a hole where nothing was written before, real zeros on a block device. Throws as `write`. */
  zero(offset: number, length: number): Promise<void>;
  /** Completes and closes the disk. Disposing without `finish` leaves it incomplete. Throws as `write`. */
  finish(): Promise<void>;
}

/** Throws RangeError unless `offset..offset+length` are safe integers inside `writer`. */
export function assertInside(size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > size) {
    throw new RangeError(`write of ${length} bytes at ${offset} is outside the disk of ${size} bytes`);
  }
}
