/** A fixed number of bits, all zero at first. */
export class BitSet {
  readonly #bytes: Uint8Array;
  #count = 0;

  constructor(readonly length: number) {
    this.#bytes = new Uint8Array(Math.ceil(length / 8));
  }

  /** How many bits are set. */
  get count(): number {
    return this.#count;
  }

  has(bit: number): boolean {
    return ((this.#bytes[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
  }

  add(bit: number): void {
    if (this.has(bit) || bit >= this.length) return;
    this.#bytes[bit >> 3] = (this.#bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    this.#count += 1;
  }
}
