// "XFS Algorithms & Data Structures", chapters "On-disk Inode" and "Data Extents": a version 3 inode, big-endian.
export const FORMAT_AT = 5;
export const SIZE_AT = 56;
export const EXTENTS_AT = 76;
/** From here to the inode's end come the data fork and the attribute fork. */
export const FORKS_AT = 176;
/** What a fork can be: a device number, the content itself, or a list of extents; else it is a tree of them. */
export const DEVICE = 0;
export const LOCAL = 1;
export const EXTENTS = 2;
export const EXTENT_LENGTH = 16;

/** A piece of a file, in blocks. */
export interface XfsExtent {
  /** Where it is in the file. */
  readonly from: number;
  /** The number of its first block. */
  readonly block: number;
  readonly count: number;
}

/** The pieces of a file whose data fork is a list of them. */
export function extentsOf(inode: Buffer): XfsExtent[] {
  return Array.from({ length: inode.readUInt32BE(EXTENTS_AT) }, (_, index) => {
    const high = inode.readBigUInt64BE(FORKS_AT + index * EXTENT_LENGTH);
    const low = inode.readBigUInt64BE(FORKS_AT + index * EXTENT_LENGTH + 8);
    // A flag, then numbers of 54, 52 and 21 bits.
    return {
      from: Number(BigInt.asUintN(63, high) >> 9n),
      block: Number((BigInt.asUintN(9, high) << 43n) | (low >> 21n)),
      count: Number(BigInt.asUintN(21, low)),
    };
  });
}
