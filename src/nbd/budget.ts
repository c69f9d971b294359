/** An amount that tasks take from and give back; who finds too little left waits, first come first served. */
export class Budget {
  readonly #total: number;
  #used = 0;
  readonly #waiting: { readonly amount: number; readonly start: () => void }[] = [];

  constructor(total: number) {
    this.#total = total;
  }

  /**
   * Takes `amount`, or all there is when it is more than that. Resolves when it is there.
   *
   * @returns what to call, once, to give it back
   */
  async take(amount: number): Promise<() => void> {
    const share = Math.min(amount, this.#total);
    if (this.#waiting.length > 0 || this.#used + share > this.#total) {
      await new Promise<void>((resolve) => this.#waiting.push({ amount: share, start: resolve }));
    } else {
      this.#used += share;
    }
    return () => this.#giveBack(share);
  }

  #giveBack(amount: number): void {
    this.#used -= amount;
    for (;;) {
      const next = this.#waiting[0];
      if (!next || this.#used + next.amount > this.#total) return;
      this.#waiting.shift();
      this.#used += next.amount;
      next.start();
    }
  }
}
