import type { Duplex } from 'node:stream';

/** The bytes a socket sends. What is sent in one turn of the event loop leaves in one system call. */
export class SocketOutput {
  readonly #socket: Duplex;
  readonly #unsent = new Set<() => void>();
  #corked = false;
  #closed: boolean;

  constructor(socket: Duplex) {
    this.#socket = socket;
    this.#closed = socket.destroyed;
    socket.once('close', () => {
      this.#closed = true;
      for (const settle of this.#unsent) settle();
    });
  }

  /**
   * Sends `parts` one after the other; nothing else comes between them. They must not be changed until the promise is resolved.
   *
   * @returns resolves when the operating system has taken them, or when that will never happen because the connection is gone
   */
  send(...parts: readonly Uint8Array[]): Promise<void> {
    if (this.#closed || this.#socket.writableEnded) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#unsent.delete(settle);
        resolve();
      };
      this.#unsent.add(settle);
      this.#cork();
      parts.forEach((part, index) =>
        this.#socket.write(part, index === parts.length - 1 ? settle : undefined),
      );
    });
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }
}
