import { TsbuilderError } from '../errors.js';
import { zstdCorrupt, zstdLimit } from './zstd-error.js';

const FRAME_MAGIC = 0xfd2fb528;
/** Of skippable frames the lowest four bits are free. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;

/** Bytes of the longest frame header. */
export const MAX_HEADER = 18;
/** Largest window accepted, in bytes: as zstd(1) without `--long` or `--memory`. */
const WINDOW_LIMIT = 128 * 1024 * 1024;
/** Largest content of a block, for any window (RFC 8878, 3.1.1.2.4). */
const BLOCK_LIMIT = 128 * 1024;

/** Position in a frame of the byte with its flags, and the flag that says that a checksum follows the last block. */
export const DESCRIPTOR_AT = 4;
export const CHECKSUM_FLAG = 4;

/** Whether a file that begins with these bytes is a zstd file: begins with a frame, or with one to be skipped, as pzstd writes. */
export function isZstd(head: Uint8Array): boolean {
  return isFrame(head) || isSkippable(head);
}

/** Whether a frame with content begins here. */
export function isFrame(head: Uint8Array): boolean {
  return head.length >= 4 && view(head).getUint32(0, true) === FRAME_MAGIC;
}

/** Whether a skippable frame begins here. */
export function isSkippable(head: Uint8Array): boolean {
  return head.length >= 4 && (view(head).getUint32(0, true) & SKIPPABLE_MASK) === SKIPPABLE_MAGIC;
}

/** What a frame says of itself. */
export interface FrameHeader {
  /** Bytes of the header, magic included. */
  readonly length: number;
  /** Most content that one block can have. */
  readonly blockLimit: number;
  /** Bytes of content, where the frame says so. */
  readonly contentSize: number | undefined;
  /** Whether 4 bytes of XXH64 follow the last block. */
  readonly checksum: boolean;
}

/**
 * Parses a frame header (RFC 8878, 3.1.1.1). `head`: the frame's first bytes, `MAX_HEADER` unless the file ends before.
 *
 * @throws TSB_ZSTD_CORRUPT, TSB_ZSTD_LIMIT when the window is larger than 128 MiB, TSB_ZSTD_UNSUPPORTED when a dictionary is needed
 */
export function parseFrameHeader(head: Uint8Array, place: { name: string; offset: number }): FrameHeader {
  const { name, offset } = place;
  const descriptor = head[DESCRIPTOR_AT] ?? 0;
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const dictionaryAt = DESCRIPTOR_AT + (single ? 1 : 2);
  const length = dictionaryAt + dictionaryBytes + sizeBytes;
  if (!isFrame(head)) throw zstdCorrupt(name, offset, 'no frame begins here');
  if (head.length < length) throw zstdCorrupt(name, offset, 'it ends in a frame header');
  if ((descriptor & 8) !== 0) throw zstdCorrupt(name, offset, 'a frame header with a reserved flag');
  if (head.subarray(dictionaryAt, dictionaryAt + dictionaryBytes).some((byte) => byte !== 0))
    throw needsDictionary(name, offset);
  const contentSize = readContentSize(head, dictionaryAt + dictionaryBytes, sizeBytes);
  const window = single ? (contentSize ?? 0) : windowSize(head[DESCRIPTOR_AT + 1] ?? 0);
  if (window > WINDOW_LIMIT)
    throw zstdLimit(name, `the frame at offset ${offset} needs a window of`, {
      found: window,
      limit: WINDOW_LIMIT,
      hint: 'Compress the image again without --long above 27 and without --ultra.',
    });
  return {
    length,
    blockLimit: Math.min(window, BLOCK_LIMIT),
    contentSize,
    checksum: (descriptor & CHECKSUM_FLAG) !== 0,
  };
}

function readContentSize(head: Uint8Array, at: number, bytes: number): number | undefined {
  const data = view(head);
  if (bytes === 0) return undefined;
  if (bytes === 1) return data.getUint8(at);
  if (bytes === 2) return data.getUint16(at, true) + 256;
  if (bytes === 4) return data.getUint32(at, true);
  return data.getUint32(at, true) + data.getUint32(at + 4, true) * 2 ** 32;
}

/** RFC 8878, 3.1.1.1.2. */
function windowSize(byte: number): number {
  const base = 2 ** (10 + (byte >> 3));
  return base + (base / 8) * (byte & 7);
}

function needsDictionary(name: string, offset: number): TsbuilderError {
  return new TsbuilderError(
    'TSB_ZSTD_UNSUPPORTED',
    `${name}: the frame at offset ${offset} can only be decoded with a dictionary`,
    { hint: 'Compress the image again without a dictionary.', details: { offset } },
  );
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
