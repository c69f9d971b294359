import type { Duplex } from 'node:stream';

/** The connection ended where more bytes had to follow. */
export class UnexpectedEnd extends Error {
  override readonly name = 'UnexpectedEnd';

  constructor(missing: number) {
    super(`the connection ended ${missing} bytes too early`);
  }
}

/**
 * The bytes a socket receives, taken in pieces of known length. Nothing is read ahead of what is asked for but what the socket itself
 * buffers, so that a client that sends faster than it is served has to wait.
 */
export class SocketInput {
  readonly #socket: Duplex;
  /** The piece received last; the bytes from `#at` on have not been taken. */
  #head: Buffer = Buffer.alloc(0);
  #at = 0;
  #ended = false;
  #stopped = false;
  #wake: (() => void) | undefined;
  readonly #onReadable = (): void => this.#wake?.();
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake?.();
  };

  constructor(socket: Duplex) {
    this.#socket = socket;
    if (socket.destroyed || socket.readableEnded) this.#ended = true;
    socket.on('readable', this.#onReadable);
    for (const event of ['end', 'close', 'error']) socket.on(event, this.#onEnd);
  }

  /** From now on it is as if the connection had ended here. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /**
   * Takes exactly `length` bytes, which belong to the caller.
   *
   * @returns undefined when the connection ended before the first of them
   * @throws UnexpectedEnd when it ended after the first of them
   */
  async read(length: number): Promise<Buffer | undefined> {
    if (length > 0 && this.#available === 0 && !(await this.#fill())) return undefined;
    if (this.#available >= length) return this.#take(length);
    const data = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      if (!(await this.#fill())) throw new UnexpectedEnd(length - done);
      const piece = this.#take(Math.min(length - done, this.#available));
      piece.copy(data, done);
      done += piece.length;
    }
    return data;
  }

  /** Takes `length` bytes and forgets them. @throws UnexpectedEnd when the connection ends first */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) {
      if (!(await this.#fill())) throw new UnexpectedEnd(left);
      left -= this.#take(Math.min(left, this.#available)).length;
    }
  }

  /**
   * Leaves the socket, so that somebody else can read from it.
   *
   * @returns whether bytes had been received that nobody has taken
   */
  detach(): boolean {
    this.#socket.off('readable', this.#onReadable);
    for (const event of ['end', 'close', 'error']) this.#socket.off(event, this.#onEnd);
    return this.#available > 0 || this.#socket.readableLength > 0;
  }

  get #available(): number {
    return this.#head.length - this.#at;
  }

  #take(length: number): Buffer {
    const piece = this.#head.subarray(this.#at, this.#at + length);
    this.#at += length;
    return piece;
  }

  /** Resolves to whether there is at least one byte to take. */
  async #fill(): Promise<boolean> {
    if (this.#available > 0) return true;
    while (!this.#stopped) {
      const chunk = this.#socket.read() as Buffer | null;
      if (chunk) {
        this.#head = chunk;
        this.#at = 0;
        return true;
      }
      if (this.#ended) return false;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    return false;
  }
}
