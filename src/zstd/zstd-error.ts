import { TsbuilderError } from '../errors.js';

/** TSB_ZSTD_CORRUPT: what is wrong with the file `name` at a compressed offset. */
export function zstdCorrupt(name: string, offset: number, what: string): TsbuilderError {
  return new TsbuilderError('TSB_ZSTD_CORRUPT', `${name}: damaged zstd file: ${what} (offset ${offset})`, {
    hint: 'Get the file again, or test it with: zstd -t FILE',
    details: { offset },
  });
}

/** TSB_ZSTD_LIMIT: the file wants more of something than is allowed. */
export function zstdLimit(
  name: string,
  what: string,
  { found, limit, hint }: { found: number; limit: number; hint: string },
): TsbuilderError {
  return new TsbuilderError('TSB_ZSTD_LIMIT', `${name}: ${what} ${found}, the limit is ${limit}`, {
    hint,
    details: { found, limit },
  });
}
