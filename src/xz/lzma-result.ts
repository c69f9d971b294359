import { type ErrorCode, TsbuilderError } from '../errors.js';
import type { XzBlock } from './block-table.js';

/** Return codes of liblzma (lzma/base.h, `lzma_ret`). Part of its ABI. */
export const LZMA = {
  ok: 0,
  streamEnd: 1,
  unsupportedCheck: 3,
  memError: 5,
  memlimitError: 6,
  formatError: 7,
  optionsError: 8,
  dataError: 9,
  bufError: 10,
} as const;

/** Decoder flag LZMA_TELL_UNSUPPORTED_CHECK: without it a check that cannot be computed would pass in silence. */
export const TELL_UNSUPPORTED_CHECK = 0x02;

/** What a decoder needs besides the dictionary; liblzma itself says 32 KiB and a few tables. */
const DECODER_EXTRA = 1024 * 1024;

/** The memory limit to give to liblzma so that dictionaries of up to `dictionaryLimit` bytes pass. */
export function memlimitFor(dictionaryLimit: number): number {
  return dictionaryLimit + DECODER_EXTRA;
}

/** A decoder's refusal: liblzma's return code, without knowledge of which file and block it was about. */
export class LzmaFailure extends Error {
  override readonly name = 'LzmaFailure';
  constructor(readonly result: number) {
    super(`liblzma returned ${result}`);
  }
}

const MEANINGS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [LZMA.unsupportedCheck]: ['TSB_XZ_UNSUPPORTED', 'its integrity check is of a kind that cannot be computed'],
  [LZMA.memError]: ['TSB_XZ_LIMIT', 'there is not enough memory for its dictionary'],
  [LZMA.memlimitError]: ['TSB_XZ_LIMIT', 'its dictionary is above the limit'],
  [LZMA.formatError]: ['TSB_XZ_CORRUPT', 'it is damaged'],
  [LZMA.optionsError]: ['TSB_XZ_UNSUPPORTED', 'it uses filters or options that the xz library does not know'],
  [LZMA.dataError]: ['TSB_XZ_CORRUPT', 'it is damaged'],
  [LZMA.bufError]: ['TSB_XZ_CORRUPT', 'its size is not the one in the index'],
};

/** `failure` as the program's error, naming the file, the block, and where the block is in the file and in the content. */
export function blockError(name: string, block: XzBlock, failure: LzmaFailure): TsbuilderError {
  const [code, what] = MEANINGS[failure.result] ?? [
    'TSB_INTERNAL',
    `the xz library returned ${failure.result}`,
  ];
  const from = block.compressedOffset;
  const to = block.uncompressedOffset;
  const message =
    `${name}: block ${block.number} cannot be decoded: ${what} ` +
    `(bytes ${from} to ${from + block.totalSize} of the file, ${to} to ${to + block.uncompressedSize} of the content)`;
  return new TsbuilderError(code, message, {
    hint: HINTS[code],
    details: {
      block: block.number,
      compressedOffset: from,
      uncompressedOffset: to,
      uncompressedSize: block.uncompressedSize,
      lzmaResult: failure.result,
    },
    cause: failure,
  });
}

const HINTS: Partial<Record<ErrorCode, string>> = {
  TSB_XZ_CORRUPT: 'Get the file again, or test it with: xz -t FILE',
  TSB_XZ_UNSUPPORTED: 'A newer liblzma may know it: set TSBUILDER_LIBLZMA to its path.',
  TSB_XZ_LIMIT: 'Compress the image again with a smaller dictionary: xz -9 uses 64 MiB.',
};
