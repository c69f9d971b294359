import { assertRange } from '../io/byte-source.js';
import { type WritableDisk, sliceDisk } from '../io/disk-source.js';

/**
 * A window of `length` bytes from `start` of a writable disk: a partition whose changes the disk shows too. Disposing it disposes
 * of `disk`.
 */
export function sliceWritable(disk: WritableDisk, start: number, length: number): WritableDisk {
  const reading = sliceDisk(disk, start, length);
  return {
    ...reading,
    async write(offset, data, signal) {
      assertRange(reading, offset, data.length);
      await disk.write(start + offset, data, signal);
    },
    async zero(offset, count, options) {
      assertRange(reading, offset, count);
      await disk.zero(start + offset, count, options);
    },
    flush: () => disk.flush(),
  };
}
