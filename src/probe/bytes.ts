/** The same bytes as a Buffer, without a copy. */
export function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * The little-endian 64-bit number at `at`, or `Infinity` when it is too large to be exact: such a number is beyond
 * any disk, and every comparison with a limit then fails as it should.
 */
export function readU64(data: Buffer, at: number): number {
  return exact(data.readBigUInt64LE(at));
}

/** The big-endian counterpart of {@link readU64}. */
export function readU64BE(data: Buffer, at: number): number {
  return exact(data.readBigUInt64BE(at));
}

function exact(value: bigint): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Infinity;
}

/** Text of a fixed-size field: up to the first NUL, trailing blanks removed, control characters shown as `?`. */
export function readText(data: Buffer, at: number, length: number): string {
  const field = data.subarray(at, at + length);
  const end = field.indexOf(0);
  return field
    .toString('utf8', 0, end === -1 ? length : end)
    .replace(/\p{Cc}/gu, '?')
    .trimEnd();
}

/** A UUID stored as 16 bytes in the order it is printed (ext, XFS, btrfs, swap), lower case; '' when all zero. */
export function readUuid(data: Buffer, at: number): string {
  const hex = data.toString('hex', at, at + 16);
  return /^0*$/.test(hex) ? '' : dashed(hex);
}

/** A GUID in the mixed-endian form of UEFI (appendix A), upper case. */
export function readGuid(data: Buffer, at: number): string {
  const field = Buffer.from(data.subarray(at, at + 16));
  field.subarray(0, 4).reverse();
  field.subarray(4, 6).reverse();
  field.subarray(6, 8).reverse();
  return dashed(field.toString('hex')).toUpperCase();
}

function dashed(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
