/** Decoded pieces of blocks, the least recently used ones dropped when they take more than `capacity` bytes. */
export class PieceCache {
  /** A Map iterates in order of insertion: the first entry is the least recently used. */
  readonly #pieces = new Map<string, Buffer>();
  #bytes = 0;

  constructor(private readonly capacity: number) {}

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  get(block: number, piece: number): Buffer | undefined {
    const key = `${block}/${piece}`;
    const data = this.#pieces.get(key);
    if (data) {
      this.#pieces.delete(key);
      this.#pieces.set(key, data);
    }
    return data;
  }

  set(block: number, piece: number, data: Buffer): void {
    const key = `${block}/${piece}`;
    this.#bytes += data.length - (this.#pieces.get(key)?.length ?? 0);
    this.#pieces.delete(key);
    this.#pieces.set(key, data);
    for (const [oldest, { length }] of this.#pieces) {
      if (this.#bytes <= this.capacity) break;
      this.#pieces.delete(oldest);
      this.#bytes -= length;
    }
  }
}
