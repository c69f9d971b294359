const MAX_CHUNKS = 1024 * 1024;
const MIN_CHUNK = 64 * 1024;

/** Remembers roughly what has been written to a new disk. Never forgets; small for any size. */
export interface WrittenMap {
  /** Something in the range is about to be written. */
  mark(offset: number, length: number): void;
  /** Whether something in the range may have been written. False is certain. */
  mayHold(offset: number, length: number): boolean;
}

/** An empty map for a disk of `size` bytes: one byte per chunk of 64 KiB or more, 1 MiB at the most. */
export function createWrittenMap(size: number): WrittenMap {
  const chunk = Math.max(MIN_CHUNK, 2 ** Math.ceil(Math.log2(Math.max(1, size / MAX_CHUNKS))));
  const marks = Buffer.alloc(Math.ceil(size / chunk));
  const first = (offset: number): number => Math.floor(offset / chunk);
  const last = (offset: number, length: number): number => Math.floor((offset + length - 1) / chunk);
  return {
    mark(offset, length) {
      if (length > 0) marks.fill(1, first(offset), last(offset, length) + 1);
    },
    mayHold(offset, length) {
      if (length === 0) return false;
      const found = marks.indexOf(1, first(offset));
      return found >= 0 && found <= last(offset, length);
    },
  };
}
