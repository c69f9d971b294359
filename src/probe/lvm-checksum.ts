import { crc32 } from 'node:zlib';

const START = 0xf597a6cf;

/** LVM2's CRC-32, which starts from a value of its own and whose result is not inverted (lvm2, lib/misc/crc.h). */
export function lvmChecksum(data: Uint8Array): number {
  return ~crc32(data, ~START >>> 0) >>> 0;
}
