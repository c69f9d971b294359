import type { DiskWriter } from '../image/disk-writer.js';
import { splitZeroRuns } from '../image/zero.js';

/**
 * Takes the content of a disk in pieces, in any order. A piece's buffer is free for reuse once its promise resolves. When
 * `signal` is aborted no more pieces will come.
 */
export interface DiskSink {
  data(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void>;
  zero(offset: number, length: number): Promise<void>;
}

/** Where a range of the content lands in the target; ranges that are left out are not written. */
export type RangeMap = (
  offset: number,
  length: number,
) => Iterable<{ from: number; to: number; length: number }>;

const identity: RangeMap = (offset, length) => [{ from: offset, to: offset, length }];

/** A sink that writes each piece at its mapped place in `writer`, zero runs as holes. */
export function diskSink(writer: DiskWriter, map: RangeMap = identity): DiskSink {
  return {
    async data(offset, data) {
      for (const { from, to, length } of map(offset, data.length)) {
        for (const run of splitZeroRuns(data.subarray(from - offset, from - offset + length), to)) {
          if (run.data) await writer.write(run.offset, run.data);
          else await writer.zero(run.offset, run.length);
        }
      }
    },
    async zero(offset, length) {
      for (const range of map(offset, length)) await writer.zero(range.to, range.length);
    },
  };
}
