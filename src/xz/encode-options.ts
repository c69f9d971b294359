import { TsbuilderError } from '../errors.js';

/** The integrity checks that a file can be packed with, and their ids and lengths in bytes (xz file format 1.2.1, section 2.1.1.2). */
const CHECKS = {
  none: { id: 0, size: 0 },
  crc32: { id: 1, size: 4 },
  crc64: { id: 4, size: 8 },
  sha256: { id: 10, size: 32 },
} as const;

export type XzCheck = keyof typeof CHECKS;

/** All checks there are, by the names that the xz program gives them. */
export const XZ_CHECKS = Object.keys(CHECKS) as readonly XzCheck[];

/** How content is packed. */
export interface XzPacking {
  /** Bytes of content in each block but the last: 64 KiB to 1 GiB. */
  readonly blockSize: number;
  /** `0` to `9`, or one of these with an `e` for more effort. */
  readonly preset: string;
  readonly check: XzCheck;
}

const MIN_BLOCK = 64 * 1024;
const MAX_BLOCK = 1024 * 1024 * 1024;
/** `LZMA_PRESET_EXTREME`, the `e` (lzma/container.h). */
const EXTREME = 2 ** 31;

/**
 * Passes when a file can be packed so.
 *
 * @throws TSB_USAGE
 */
export function assertPacking({ blockSize, preset }: Pick<XzPacking, 'blockSize' | 'preset'>): void {
  if (!Number.isInteger(blockSize) || blockSize < MIN_BLOCK || blockSize > MAX_BLOCK) {
    throw new TsbuilderError('TSB_USAGE', `a block of ${blockSize} bytes is not between 64 KiB and 1 GiB`);
  }
  if (/^[0-9]e?$/.test(preset)) return;
  throw new TsbuilderError('TSB_USAGE', `${JSON.stringify(preset)} is not a preset of xz`, {
    hint: 'Give 0 to 9, with an e for more effort: 6, 9e.',
  });
}

/** Id and length in bytes of an integrity check. */
export function checkOf(check: XzCheck): { readonly id: number; readonly size: number } {
  return CHECKS[check];
}

/** A preset as liblzma has it: the level and a flag. */
export function presetNumber(preset: string): number {
  return Number(preset[0]) + (preset.endsWith('e') ? EXTREME : 0);
}

/**
 * LZMA2's property byte for the smallest dictionary that holds `bytes` (section 5.3.1), and that dictionary's size: 2^n or
 * 3 * 2^(n-1) bytes, 4 KiB at least.
 */
export function dictionaryFor(bytes: number): { readonly property: number; readonly size: number } {
  for (let property = 0; ; property += 1) {
    const size = (2 + (property % 2)) * 2 ** (Math.floor(property / 2) + 11);
    if (size >= bytes) return { property, size };
  }
}
