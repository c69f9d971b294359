const ZEROS = Buffer.alloc(64 * 1024);

/** Whether every byte of `data` is zero. Returns at the first 64 KiB that are not. */
export function isAllZero(data: Uint8Array): boolean {
  for (let at = 0; at < data.length; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, data.length - at);
    if (ZEROS.compare(data, at, at + length, 0, length) !== 0) return false;
  }
  return true;
}
