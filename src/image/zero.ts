/** A run of bytes on a disk. Without `data` it is all zero. */
export interface ZeroRun {
  readonly offset: number;
  readonly length: number;
  readonly data?: Uint8Array;
}

const BLOCK = 4096;
const ZEROS = Buffer.alloc(1024 * 1024);

/** Whether `data[start..end]` is all zero, at the speed of memcmp. */
export function isZero(data: Uint8Array, start = 0, end = data.length): boolean {
  for (let at = start; at < end; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, end - at);
    if (ZEROS.compare(data, at, at + length, 0, length) !== 0) return false;
  }
  return true;
}

/** Zero bytes to write from: `length` of them, at most 1 MiB. Never write into the result. */
export function zeroBytes(length: number): Uint8Array {
  return ZEROS.subarray(0, length);
}

/**
 * Splits `data`, which belongs at `offset` of a disk, into runs that follow each other and cover it. Zero runs are
 * whole pieces of `granularity` bytes (aligned on the disk), and reach to the nearest 4 KiB into the data beside
 * them: so holes are large, and no zero block is written at an edge. The runs' data are views of `data`.
 */
export function* splitZeroRuns(data: Uint8Array, offset: number, granularity = 65536): Iterable<ZeroRun> {
  let zeroStart = 0;
  for (const piece of dataPieces(data, offset, granularity)) {
    const start = trimStart(data, piece, offset);
    const end = trimEnd(data, { start, end: piece.end }, offset);
    if (start > zeroStart) yield { offset: offset + zeroStart, length: start - zeroStart };
    yield { offset: offset + start, length: end - start, data: data.subarray(start, end) };
    zeroStart = end;
  }
  if (data.length > zeroStart) yield { offset: offset + zeroStart, length: data.length - zeroStart };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** The maximal ranges of `data` whose aligned pieces each hold something. */
function* dataPieces(data: Uint8Array, offset: number, granularity: number): Iterable<Range> {
  let start: number | undefined;
  for (let at = 0; at < data.length;) {
    const end = Math.min(data.length, at + granularity - ((offset + at) % granularity));
    if (!isZero(data, at, end)) start ??= at;
    else if (start !== undefined) {
      yield { start, end: at };
      start = undefined;
    }
    at = end;
  }
  if (start !== undefined) yield { start, end: data.length };
}

function trimStart(data: Uint8Array, range: Range, offset: number): number {
  let start = range.start;
  for (;;) {
    const next = start + BLOCK - ((offset + start) % BLOCK);
    if (next >= range.end || !isZero(data, start, next)) return start;
    start = next;
  }
}

function trimEnd(data: Uint8Array, range: Range, offset: number): number {
  let end = range.end;
  for (;;) {
    const tail = (offset + end) % BLOCK || BLOCK;
    if (end - tail <= range.start || !isZero(data, end - tail, end)) return end;
    end -= tail;
  }
}
