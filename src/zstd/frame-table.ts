import { zstdLimit } from './zstd-error.js';

/** Most frames with content that are accepted: about 40 bytes of memory each. */
const MAX_FRAMES = 2 * 1024 * 1024;

/** One frame with content. */
export interface ZstdFrame {
  readonly number: number;
  readonly offset: number;
  readonly compressedSize: number;
  readonly contentSize: number;
  /** The low 32 bits of the content's XXH64 as the seek table has them. */
  readonly checksum: number | undefined;
}

/** Where the frames with content are, in order. */
export interface FrameTable {
  readonly frameCount: number;
  /** Where the content of each begins, and where the last one's ends. */
  readonly contentOffsets: Float64Array;
  frame(number: number): ZstdFrame;
  /** Whether the content of a frame was seen to be zero throughout. */
  isKnownZero(number: number): boolean;
}

/** What is known of a frame when it is found. */
export interface FoundFrame extends Omit<ZstdFrame, 'number'> {
  readonly zero?: boolean | undefined;
}

/** A FrameTable while it is made. */
export interface FrameTableBuilder {
  /** Adds a frame behind all others. One without content is left out. @throws TSB_ZSTD_LIMIT when there are too many */
  add(frame: FoundFrame): void;
  finish(): FrameTable;
}

/** @throws TSB_ZSTD_LIMIT when a file has more frames than are accepted */
export function assertFrameCount(name: string, count: number): void {
  if (count <= MAX_FRAMES) return;
  throw zstdLimit(name, 'the number of zstd frames is at least', {
    found: count,
    limit: MAX_FRAMES,
    hint: 'Compress the image again with larger frames.',
  });
}

/** An empty table for the frames of the file `name`. */
export function buildFrameTable(name: string): FrameTableBuilder {
  const offsets: number[] = [];
  const compressedSizes: number[] = [];
  const contentOffsets: number[] = [0];
  const checksums: number[] = [];
  const zeros: boolean[] = [];
  let size = 0;
  return {
    add({ offset, compressedSize, contentSize, checksum, zero }) {
      if (contentSize === 0) return;
      assertFrameCount(name, offsets.length + 1);
      size += contentSize;
      if (!Number.isSafeInteger(size))
        throw zstdLimit(name, 'bytes of content:', {
          found: size,
          limit: Number.MAX_SAFE_INTEGER,
          hint: 'Such a file cannot be real.',
        });
      offsets.push(offset);
      compressedSizes.push(compressedSize);
      contentOffsets.push(size);
      checksums.push(checksum ?? -1);
      zeros.push(zero ?? false);
    },
    finish: () =>
      frameTable({
        offsets: Float64Array.from(offsets),
        compressedSizes: Float64Array.from(compressedSizes),
        contentOffsets: Float64Array.from(contentOffsets),
        checksums: Float64Array.from(checksums),
        zeros: Uint8Array.from(zeros, Number),
      }),
  };
}

interface Columns {
  readonly offsets: Float64Array;
  readonly compressedSizes: Float64Array;
  readonly contentOffsets: Float64Array;
  /** -1: none. */
  readonly checksums: Float64Array;
  readonly zeros: Uint8Array;
}

function frameTable(columns: Columns): FrameTable {
  const { offsets, compressedSizes, contentOffsets, checksums, zeros } = columns;
  const at = (column: Float64Array, number: number): number => {
    const value = column[number];
    if (value === undefined) throw new RangeError(`no frame ${number} of ${offsets.length}`);
    return value;
  };
  return {
    frameCount: offsets.length,
    contentOffsets,
    frame(number) {
      const checksum = at(checksums, number);
      return {
        number,
        offset: at(offsets, number),
        compressedSize: at(compressedSizes, number),
        contentSize: at(contentOffsets, number + 1) - at(contentOffsets, number),
        checksum: checksum < 0 ? undefined : checksum,
      };
    },
    isKnownZero: (number) => zeros[number] === 1,
  };
}
