import type { ByteSource } from '../io/byte-source.js';
import { decodeJobs } from '../io/native.js';
import type { SegmentedContent } from '../io/segments.js';
import { segmentTable } from '../io/segment-table.js';
import { type FrameInput, decodeFrame } from './decode-frame.js';
import type { FrameTable } from './frame-table.js';
import { ZstdDecoder } from './libzstd.js';
import { readSeekTable } from './seek-table.js';
import { type WalkOptions, walkFrames } from './walk-frames.js';
import { ZeroFrames } from './zero-frames.js';

/** How the frames are found. */
export interface ZstdSegmentsOptions extends WalkOptions {
  /** Called when all of the file has to be gone over, before that. */
  readonly onPass?: (() => void) | undefined;
}

export { isZstd } from './frame-header.js';

/**
 * The content of a zstd file (RFC 8878) for random access; its frames are the segments. They are found by the seek table of the seekable
 * format, where the file ends in one, else by going over the file once; frames that do not say how much content they have are then
 * decoded. A file of one frame is one segment.
 *
 * Checksums of frames and of the seek table are verified when a frame is decoded. Where a file has neither, damage can pass.
 *
 * Disposing the result disposes `source`; when opening fails it stays open.
 *
 * @throws TSB_ZSTD_CORRUPT when the file is damaged, truncated or has other bytes behind its end; TSB_ZSTD_LIMIT for a window above
 *   128 MiB or more than 2,097,152 frames; TSB_ZSTD_UNSUPPORTED when a dictionary is needed; TSB_TOOL_MISSING without libzstd; what the
 *   source throws. So does `decode`
 */
export async function openZstdSegments(
  source: ByteSource,
  options: ZstdSegmentsOptions = {},
): Promise<SegmentedContent> {
  const frames = (await readSeekTable(source, options.signal)) ?? (await walkAll(source, options));
  const table = segmentTable(frames.contentOffsets);
  const zeros = new ZeroFrames(source);
  const decoders = new IdleDecoders();
  return {
    ...table,
    name: source.name,
    decode: (number, { signal }) => decoders.decode({ source, frame: frames.frame(number), signal }),
    isZero: async (number, signal) =>
      frames.isKnownZero(number) || (await zeros.isZero(frames.frame(number), signal)),
    async [Symbol.asyncDispose]() {
      decoders.close();
      await source[Symbol.asyncDispose]();
    },
  };
}

function walkAll(source: ByteSource, options: ZstdSegmentsOptions): Promise<FrameTable> {
  options.onPass?.();
  return walkFrames(source, options);
}

/** Decoders kept because each has its window allocated. */
class IdleDecoders {
  readonly #idle: ZstdDecoder[] = [];
  #closed = false;

  async *decode(input: FrameInput): AsyncGenerator<Uint8Array, void> {
    const decoder = this.#idle.pop() ?? new ZstdDecoder();
    try {
      yield* decodeFrame(decoder, input);
    } finally {
      if (this.#closed || this.#idle.length >= decodeJobs()) decoder[Symbol.dispose]();
      else this.#idle.push(decoder);
    }
  }

  close(): void {
    this.#closed = true;
    for (const decoder of this.#idle.splice(0)) decoder[Symbol.dispose]();
  }
}
