/** CRC-32C (Castagnoli), bit-reflected, and CRC-16 (ANSI), bit-reflected: the two that ext4 uses. */
const CRC32C = tableOf(0x82f63b78);
const CRC16 = tableOf(0xa001);

function tableOf(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    return value >>> 0;
  });
}

function update(table: Uint32Array, state: number, data: Uint8Array): number {
  let value = state;
  for (const byte of data) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0);
  return value >>> 0;
}

/** CRC-32C of `data` after `state`, without the final inversion: as ext4 chains it, beginning with 0xffffffff. */
export function crc32c(state: number, data: Uint8Array): number {
  return update(CRC32C, state, data);
}

/** CRC-16 of `data` after `state`, as ext4's `uninit_bg` chains it, beginning with 0xffff. */
export function crc16(state: number, data: Uint8Array): number {
  return update(CRC16, state, data);
}
