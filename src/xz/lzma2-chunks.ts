/** The parts of a block's stream in front of LZMA2's first chunk: the stream header, and the block header's first byte. */
const STREAM_HEADER = 12;

/**
 * Cuts the pieces of a one-block xz stream between LZMA2 chunks, so that each decodes to `limit` bytes of content at most, or to
 * one chunk (2 MiB at most), besides the rest of a chunk that an earlier piece began. The headers are cut off too.
 *
 * A decoder that takes a piece and returns all of its content at once could otherwise be made to return 7000 times the size
 * of the piece. The last filter of a block is LZMA2, whose chunks say in front how much they hold (and decoders insist on it);
 * all other filters keep sizes. So it is enough to read along from chunk header to chunk header. Bytes that are no LZMA2 are
 * passed on as they are: a decoder stops at them.
 */
export async function* cutByContent(
  pieces: AsyncIterable<Uint8Array>,
  limit: number,
): AsyncGenerator<Uint8Array, void> {
  const follower = new ChunkFollower();
  for await (const piece of pieces) {
    let start = 0;
    let content = 0;
    for (const { at, holds, isFirst } of follower.chunksIn(piece)) {
      if ((isFirst || content + holds > limit) && at > start) {
        yield piece.subarray(start, at);
        start = at;
        content = 0;
      }
      content += holds;
    }
    if (start < piece.length) yield piece.subarray(start);
  }
}

/** Follows the chunks of one LZMA2 stream over the pieces it comes in. */
class ChunkFollower {
  /** Bytes to pass over before the next header; at first the stream header. */
  #skip = STREAM_HEADER;
  #state: 'block-header' | 'chunk-header' | 'ended' = 'block-header';
  #isFirst = true;
  /** The first bytes of a chunk header that the previous piece ended in. */
  #partial: number[] = [];

  /**
   * For each chunk whose size becomes known in `piece`: how much content it holds, and the index in `piece` at which it can be
   * cut off from the chunks before.
   */
  *chunksIn(piece: Uint8Array): Iterable<{ at: number; holds: number; isFirst: boolean }> {
    let position = 0;
    while (this.#state !== 'ended') {
      const step = Math.min(this.#skip, piece.length - position);
      position += step;
      this.#skip -= step;
      if (position >= piece.length) return;
      if (this.#state === 'block-header') {
        this.#skip = ((piece[position] ?? 0) + 1) * 4;
        this.#state = 'chunk-header';
        continue;
      }
      const at = position;
      const holds = this.#readHeader(piece, position);
      if (holds === undefined) return;
      position = at + holds.headerBytes;
      yield { at, holds: holds.content, isFirst: this.#isFirst };
      this.#isFirst = false;
    }
  }

  /** Reads the chunk header at `position`, or as much of it as there is. */
  #readHeader(piece: Uint8Array, position: number): { content: number; headerBytes: number } | undefined {
    const before = this.#partial.length;
    const control = this.#partial[0] ?? piece[position] ?? 0;
    const length = headerLength(control);
    if (length === undefined) {
      this.#state = 'ended';
      return undefined;
    }
    const header = [...this.#partial, ...piece.subarray(position, position + length - before)];
    this.#partial = header.length < length ? header : [];
    if (header.length < length) return undefined;
    const { content, compressed } = chunkSizes(header);
    this.#skip = compressed;
    return { content, headerBytes: length - before };
  }
}

/** Bytes of the chunk header that begins with `control`, or undefined where LZMA2 ends or is none. */
function headerLength(control: number): number | undefined {
  if (control === 0x01 || control === 0x02) return 3;
  if (control < 0x80) return undefined;
  return control >= 0xc0 ? 6 : 5;
}

/** Sizes of content and of the data behind the header: stored less one, big-endian (LZMA2 as in liblzma's lzma2_decoder). */
function chunkSizes(header: readonly number[]): { content: number; compressed: number } {
  const word = (index: number): number => (header[index] ?? 0) * 256 + (header[index + 1] ?? 0) + 1;
  const control = header[0] ?? 0;
  if (control < 0x80) return { content: word(1), compressed: word(1) };
  return { content: (control & 0x1f) * 65536 + word(1), compressed: word(3) };
}
