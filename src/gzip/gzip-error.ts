import { TsbuilderError } from '../errors.js';

/** TSB_GZIP_CORRUPT: what is wrong with the file `name` at a compressed offset. */
export function gzipCorrupt(name: string, offset: number, what: string): TsbuilderError {
  return new TsbuilderError('TSB_GZIP_CORRUPT', `${name}: damaged gzip file: ${what} (offset ${offset})`, {
    hint: 'Get the file again, or test it with: gzip -t FILE',
    details: { offset },
  });
}
