import type { ByteSource } from '../io/byte-source.js';
import { InputCursor } from '../io/input-cursor.js';
import { CHECKSUM_FLAG, DESCRIPTOR_AT, MAX_HEADER, parseFrameHeader } from './frame-header.js';
import type { ZstdFrame } from './frame-table.js';
import { type DecompressResult, type ZstdDecoder, ZstdFailure } from './libzstd.js';
import { zstdCorrupt } from './zstd-error.js';

/** Small, because a read waits for half a slice too much on average. */
const SLICE = 256 * 1024;
const CHECKSUM_SIZE = 4;

/** A frame to be decoded. */
export interface FrameInput {
  readonly source: ByteSource;
  readonly frame: ZstdFrame;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Decodes one frame, slice by slice, in order; each is valid until the next is asked for. The last one comes only when the frame has
 * been found to have exactly the sizes in the table, and its checksums, its own and the table's, to be right.
 *
 * @throws TSB_ZSTD_CORRUPT, TSB_ZSTD_LIMIT, TSB_ZSTD_UNSUPPORTED naming the frame's offset; what the source throws
 */
export async function* decodeFrame(
  decoder: ZstdDecoder,
  input: FrameInput,
): AsyncGenerator<Uint8Array, void> {
  const { source, frame, signal } = input;
  try {
    decoder.begin();
    for await (const slice of new FrameDecoding(decoder, frame).run(frameBytes(input))) {
      signal?.throwIfAborted();
      yield slice;
    }
  } catch (error) {
    if (!(error instanceof ZstdFailure)) throw error;
    throw frameCorrupt(source, frame, error.message);
  }
}

/** How far the decoding of a frame has come. */
class FrameDecoding {
  readonly #decoder: ZstdDecoder;
  readonly #size: number;
  readonly #output: Buffer;
  /** Takes what comes behind the last byte expected: nothing. */
  readonly #behind = Buffer.allocUnsafeSlow(64);
  #done = 0;
  #filled = 0;
  #ended = false;

  constructor(decoder: ZstdDecoder, frame: ZstdFrame) {
    this.#decoder = decoder;
    this.#size = frame.contentSize;
    this.#output = Buffer.allocUnsafeSlow(Math.min(SLICE, frame.contentSize));
  }

  async *run(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const piece of pieces) {
      for (let at = 0, more = true; more;) {
        if (this.#ended) throw new ZstdFailure('it ends before its place in the table does');
        const { consumed, filled } = await this.#step(piece.subarray(at));
        at += consumed;
        // When the output was not filled, all that the input gives has come out.
        more = at < piece.length || (filled && !this.#ended);
        if (this.#filled === this.#room && this.#done + this.#filled < this.#size) yield this.#takeSlice();
      }
    }
    if (!this.#ended) throw new ZstdFailure('its place in the table ends before it does');
    if (this.#done + this.#filled < this.#size)
      throw new ZstdFailure(`it has ${this.#done + this.#filled} bytes of content, not ${this.#size}`);
    yield this.#takeSlice();
  }

  /** Bytes of the slice that is being filled. */
  get #room(): number {
    return Math.min(SLICE, this.#size - this.#done);
  }

  async #step(input: Uint8Array): Promise<{ consumed: number; filled: boolean }> {
    const complete = this.#filled === this.#room;
    const output = complete ? this.#behind : this.#output.subarray(this.#filled, this.#room);
    const result: DecompressResult = await this.#decoder.run(input, output);
    if (complete && result.produced > 0) throw new ZstdFailure(`it has more than ${this.#size} bytes`);
    this.#filled += result.produced;
    this.#ended = result.ended;
    return { consumed: result.consumed, filled: result.produced === output.length };
  }

  #takeSlice(): Uint8Array {
    const slice = this.#output.subarray(0, this.#filled);
    this.#done += this.#filled;
    this.#filled = 0;
    return slice;
  }
}

/**
 * The bytes of a frame. A checksum in the seek table is computed like the one that a frame can have at its end, so libzstd is made to
 * verify it: it is put at the end of a frame that has none, and the flag for it is set.
 */
async function* frameBytes({ source, frame, signal }: FrameInput): AsyncGenerator<Uint8Array, void> {
  const { offset, compressedSize, contentSize, checksum } = frame;
  await using cursor = new InputCursor(source, { from: offset, to: offset + compressedSize, signal });
  const head = Buffer.from((await cursor.peek(MAX_HEADER)).subarray(0, MAX_HEADER));
  const header = parseFrameHeader(head, { name: source.name, offset });
  if (header.contentSize !== undefined && header.contentSize !== contentSize)
    throw frameCorrupt(source, frame, `its header says ${header.contentSize} bytes, not ${contentSize}`);
  const own = checksum !== undefined && header.checksum ? CHECKSUM_SIZE : 0;
  head.writeUInt8(
    head.readUInt8(DESCRIPTOR_AT) | (checksum === undefined ? 0 : CHECKSUM_FLAG),
    DESCRIPTOR_AT,
  );
  cursor.advance(header.length);
  yield head.subarray(0, header.length);
  for (let left = offset + compressedSize - own - cursor.position; left > 0;) {
    const piece = (await cursor.rest()).subarray(0, left);
    cursor.advance(piece.length);
    left -= piece.length;
    yield piece;
  }
  if (checksum === undefined) return;
  const wanted = Buffer.alloc(CHECKSUM_SIZE);
  wanted.writeUInt32LE(checksum);
  if (own > 0 && !wanted.equals(await cursor.take(own)))
    throw frameCorrupt(source, frame, 'its checksum and that in the seek table differ');
  yield wanted;
}

function frameCorrupt(source: ByteSource, frame: ZstdFrame, what: string): Error {
  const { number, offset, contentSize } = frame;
  return zstdCorrupt(source.name, offset, `frame ${number}, of ${contentSize} bytes of content: ${what}`);
}
