/** Writes the checksum of a piece of metadata of XFS into it, little-endian at `at`, which counts as zero. */
export function writeCrc(data: Buffer, at: number): void {
  data.writeUInt32LE(0, at);
  data.writeUInt32LE(crc32c(data), at);
}

/** CRC-32 of Castagnoli, as XFS uses it for its metadata. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
