import { TsbuilderError } from '../errors.js';
import { isAllZero } from '../io/all-zero.js';
import { type ByteSource, bytesSource } from '../io/byte-source.js';
import { decodeFrame } from './decode-frame.js';
import type { ZstdFrame } from './frame-table.js';
import { ZstdDecoder } from './libzstd.js';

/** Zeros compress more than 3000 times. Whatever compresses less is not looked at. */
const RATIO = 1000;
/** Largest frame that is decoded to find out, in bytes of content. */
const LARGEST = 64 * 1024 * 1024;
/** Different frames that are remembered. */
const REMEMBERED = 64;

/**
 * Finds frames of zeros without decoding them all: zeros make frames of a few bytes, and equal frames have equal content. Only the first of
 * equal ones is decoded.
 */
export class ZeroFrames {
  readonly #source: ByteSource;
  readonly #known = new Map<string, boolean>();

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Whether a frame is found to be zero throughout by reading next to nothing. Not throwing for damaged data: false. */
  async isZero(frame: ZstdFrame, signal?: AbortSignal): Promise<boolean> {
    const { offset, compressedSize, contentSize, checksum } = frame;
    if (contentSize > LARGEST || compressedSize * RATIO > contentSize) return false;
    const bytes = await this.#source.read(offset, compressedSize, signal);
    const key = `${contentSize} ${checksum ?? ''} ${Buffer.from(bytes).toString('latin1')}`;
    const known = this.#known.get(key) ?? (await this.#find(bytes, frame));
    this.#known.delete(key);
    this.#known.set(key, known);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
    }
    return known;
  }

  async #find(bytes: Uint8Array, frame: ZstdFrame): Promise<boolean> {
    using decoder = new ZstdDecoder();
    const source = bytesSource(this.#source.name, bytes);
    try {
      for await (const slice of decodeFrame(decoder, { source, frame: { ...frame, offset: 0 } })) {
        if (!isAllZero(slice)) return false;
      }
      return true;
    } catch (error) {
      if (error instanceof TsbuilderError) return false;
      throw error;
    }
  }
}
