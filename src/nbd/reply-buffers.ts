/** Shorter replies cost next to nothing, however their memory is had. */
const FROM_BYTES = 16 * 1024;

/** Buffers that wait to be used again. */
const KEPT = 128;

/**
 * Memory for the content of replies, used again and again: a new buffer for each reply would have to be cleared by the system, and the
 * garbage collector would run all the time, because it takes the growth of such memory for its call.
 */
export class ReplyBuffers {
  /** The one given back last at the end. */
  readonly #spare: Buffer[] = [];
  #spareBytes = 0;

  /** @param limit bytes that are kept for use at most */
  constructor(private readonly limit: number) {}

  /** A buffer of `length` bytes with anything in it. */
  take(length: number): Buffer {
    const at = this.#spare.findLastIndex((buffer) => buffer.length === length);
    const [found] = at < 0 ? [] : this.#spare.splice(at, 1);
    if (!found) return Buffer.allocUnsafeSlow(length);
    this.#spareBytes -= length;
    return found;
  }

  /** Takes back a buffer that nobody reads or writes any more. */
  giveBack(buffer: Buffer): void {
    if (buffer.length < FROM_BYTES || buffer.length > this.limit) return;
    this.#spare.push(buffer);
    this.#spareBytes += buffer.length;
    while (this.#spare.length > KEPT || this.#spareBytes > this.limit)
      this.#spareBytes -= this.#spare.shift()?.length ?? 0;
  }
}
