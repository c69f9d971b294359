import type { Dispatcher } from 'undici';
import type { Counters } from './counters.js';
import { type HttpHeaders, networkError, protocolError } from './http-errors.js';

/** What a server has answered so far: all but the body. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: HttpHeaders;
  /**
   * Hands every piece of the body to `take`, as it arrives, until the body ends. What `take` throws ends the exchange and is thrown
   * here. Call it at once: what arrives before is kept in memory, up to a limit.
   */
  receive(take: (chunk: Uint8Array) => void): Promise<void>;
  /** Gives the body up. A short one is let pass, so that the connection can be used again. */
  discard(): void;
}

/** One request. */
export interface ExchangeRequest {
  /** Credentials in it are not sent. */
  readonly url: URL;
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  readonly counters?: Counters | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes kept for a caller who has not called `receive` yet. */
const MAX_EARLY = 16 * 1024 * 1024;
/** A rest of a body that is cheaper to read than a new connection is to make. */
const MAX_PASSED = 64 * 1024;

/**
 * Sends one request and resolves with its answer, without following redirects.
 *
 * undici is never made to pause: when a server closes the connection of an answer that is paused, undici 7 ends the process by a
 * failed assertion (undici issue 5360). So whoever takes a body takes each piece at once and without waiting; the server is held back by
 * TCP while that is going on, and nothing piles up in memory.
 *
 * @throws TSB_NETWORK, TSB_NETWORK_TIMEOUT, or the abort reason
 */
export function exchange(dispatcher: Dispatcher, request: ExchangeRequest): Promise<HttpAnswer> {
  const { url, method, headers, counters, signal } = request;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    if (counters) counters.httpRequests += 1;
    const path = `${url.pathname}${url.search}`;
    const handler = new ExchangeHandler(request, { resolve, reject });
    dispatcher.dispatch({ origin: url.origin, path, method, headers: { ...headers } }, handler);
  });
}

type Ending = 'well' | { readonly error: unknown };

interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Told by undici what happens to one request. */
class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #request: ExchangeRequest;
  readonly #answer: Settle<HttpAnswer>;
  readonly #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #controller: Dispatcher.DispatchController | undefined;
  #take: ((chunk: Uint8Array) => void) | undefined;
  /** Why the exchange was broken off from here. */
  #failure: { readonly error: unknown } | undefined;
  #ended: Ending | undefined;
  #body: Settle<void> | undefined;
  readonly #onAbort = (): void => this.#fail(this.#request.signal?.reason);

  constructor(request: ExchangeRequest, answer: Settle<HttpAnswer>) {
    this.#request = request;
    this.#answer = answer;
    request.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure) controller.abort(ABORTED);
  }

  onResponseStart(_: unknown, status: number, headers: HttpHeaders): void {
    // Announcements such as 103 come before the answer.
    if (status < 200) return;
    this.#answer.resolve({
      status,
      headers,
      receive: (take) => this.#receive(take),
      discard: () => this.#discard(headers['content-length']),
    });
  }

  onResponseData(_: unknown, chunk: Uint8Array): void {
    if (this.#failure) return;
    const { counters } = this.#request;
    if (counters) counters.bytesFetched += chunk.length;
    if (this.#take) {
      this.#handOver(this.#take, chunk);
      return;
    }
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > MAX_EARLY)
      this.#fail(protocolError(this.#request.url, 'sent faster than it could be taken', true));
  }

  onResponseEnd(): void {
    this.#end('well');
  }

  onResponseError(_: unknown, error: Error): void {
    this.#end({ error: networkError(this.#request.url, error) });
  }

  #receive(take: (chunk: Uint8Array) => void): Promise<void> {
    for (const chunk of this.#early.splice(0)) if (!this.#failure) this.#handOver(take, chunk);
    this.#take = take;
    return new Promise((resolve, reject) => {
      this.#body = { resolve, reject };
      const over = this.#failure ?? this.#ended;
      if (over) this.#report(over);
    });
  }

  #discard(length: string | string[] | undefined): void {
    if (this.#ended || this.#failure) return;
    let left = MAX_PASSED;
    this.#early.length = 0;
    this.#take = (chunk) => {
      left -= chunk.length;
      if (left < 0) throw ABORTED;
    };
    if (!(Number(length) <= MAX_PASSED)) this.#fail(ABORTED);
  }

  #handOver(take: (chunk: Uint8Array) => void, chunk: Uint8Array): void {
    try {
      take(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Breaks the exchange off: both who waits for the answer and who waits for the body get `error`. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#answer.reject(error);
    this.#body?.reject(error);
    this.#controller?.abort(ABORTED);
  }

  #end(how: Ending): void {
    // A body that `take` refused may have ended meanwhile all the same.
    this.#ended = this.#failure ?? how;
    this.#request.signal?.removeEventListener('abort', this.#onAbort);
    this.#report(this.#ended);
  }

  #report(how: Ending): void {
    if (how === 'well') {
      this.#body?.resolve();
      return;
    }
    this.#answer.reject(how.error);
    this.#body?.reject(how.error);
  }
}

const ABORTED = new Error('the exchange was broken off');
