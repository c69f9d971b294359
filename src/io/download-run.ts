import { readSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EXIT, TsbuilderError, isAbort } from '../errors.js';
import { type ByteSource, sliceSource } from './byte-source.js';
import type { Download, DownloadOptions, DownloadResult } from './download.js';
import { downloadMark } from './download-mark.js';
import { type DownloadState, removePartial, writeDownloadState } from './download-state.js';
import { readFully } from './file-source.js';
import { assertFreeSpaceSync, writeError } from './free-space.js';
import { formatSize } from './format-size.js';
import { hashSource, startHash } from './hash-content.js';
import type { HttpClient, HttpResponse } from './http-client.js';
import { headerOf, protocolError, statusError } from './http-errors.js';
import {
  type HttpIdentity,
  changedError,
  identityOf,
  isSameVersion,
  parseContentRange,
  validatorOf,
  wrongRange,
} from './http-identity.js';
import { type PinnedUrl, pinUrl } from './http-pin.js';
import { withRetries } from './http-retry.js';
import { redactUrl } from './redact-url.js';

/** What a run works with; it owns and closes both handles. */
export interface DownloadParts {
  readonly client: HttpClient;
  readonly handle: FileHandle;
  readonly state: DownloadState | undefined;
}

const UNKNOWN: HttpIdentity = { size: undefined, etag: undefined, lastModified: undefined };

/**
 * The state of one download. `position` is how far the hash has come; below the mark the file is final. Position is
 * behind the mark only after a restart from zero: up to the mark the new bytes are then compared with those on disk,
 * because readers have already been given them.
 */
export class DownloadRun implements Download {
  readonly name: string;
  readonly url: string;
  readonly path: string;
  readonly mark = downloadMark();
  readonly size: Promise<number>;
  readonly done: Promise<DownloadResult>;
  identity: HttpIdentity;
  resumed = false;

  private readonly pinned: PinnedUrl;
  private readonly controller = new AbortController();
  private readonly signal: AbortSignal;
  private hasher;
  private position = 0;
  private reported = 0;
  private announced: number | undefined;
  private rangesBroken = false;
  private started = false;
  private announceSize!: (size: number) => void;

  constructor(
    private readonly options: DownloadOptions,
    private readonly parts: DownloadParts,
  ) {
    this.name = redactUrl(options.url);
    this.url = options.url;
    this.path = options.path;
    this.identity = parts.state ?? UNKNOWN;
    this.pinned = pinUrl(parts.client, options.url);
    this.hasher = startHash(options);
    const { signal } = this.controller;
    this.signal = options.signal ? AbortSignal.any([options.signal, signal]) : signal;
    const size = new Promise<number>((resolve) => (this.announceSize = resolve));
    this.done = this.run();
    this.size = Promise.race([size, this.done.then((result) => result.size)]);
    // Whoever is interested awaits them; a download that is disposed of fails unheard.
    this.done.catch(() => undefined);
    this.size.catch(() => undefined);
  }

  async read(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.mark.waitFor(offset + data.length, signal);
    await readFully(this.name, this.parts.handle, { data, offset, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.controller.abort(new TsbuilderError('TSB_INTERRUPTED', `${this.name}: the download was stopped`));
    await this.done.catch(() => undefined);
    await this.parts.client[Symbol.asyncDispose]();
    await this.parts.handle.close();
  }

  private async run(): Promise<DownloadResult> {
    try {
      await this.hashPartial();
      const progress = (): number => this.position;
      const hint = 'Try again later: what has arrived is kept.';
      await withRetries(() => this.attempt(), { hint, ...this.options, progress, signal: this.signal });
      await this.parts.handle.truncate(this.position);
      return { ...this.identity, ...this.hasher.digest() };
    } catch (error) {
      if (!this.isResumable(error)) await removePartial(this.path);
      this.mark.fail(error);
      throw error;
    }
  }

  /**
   * Hashes what an earlier process left. The last byte is always asked for again: so the server confirms the version,
   * and nobody asks for a range behind the end.
   */
  private async hashPartial(): Promise<void> {
    const { handle, state } = this.parts;
    const { size } = await handle.stat();
    const present = state ? Math.max(0, Math.min(size, (state.size ?? Infinity) - 1)) : 0;
    const partial: ByteSource = {
      name: this.path,
      size: present,
      read: async (offset, count, signal) => {
        const data = Buffer.allocUnsafeSlow(count);
        await readFully(this.path, handle, { data, offset, signal });
        return data;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const sound = present > 0 ? await this.options.soundPrefix?.(partial) : undefined;
    const length = Math.min(present, sound ?? present);
    await hashSource(sliceSource(partial, 0, length), this.hasher, this.signal);
    this.position = length;
    this.resumed = length > 0;
  }

  private async attempt(): Promise<void> {
    // The connection may break right behind the last byte.
    if (this.position > 0 && this.position === this.announced) return;
    const response = await this.request();
    try {
      if (this.begin(response)) await this.receive(response);
    } finally {
      response.discard();
    }
  }

  private request(): Promise<HttpResponse> {
    const validator = validatorOf(this.identity);
    const resume = this.position > 0 && validator !== undefined && !this.rangesBroken;
    const headers = resume ? { range: `bytes=${this.position}-`, 'if-range': validator } : {};
    return this.pinned.request({ headers, signal: this.signal });
  }

  /** Judges status and headers, without waiting: the body is coming. @returns false when there is nothing left to receive */
  private begin(response: HttpResponse): boolean {
    const { status, headers } = response;
    if (status === 416) return this.confirmEnd(response);
    if (status !== 200 && status !== 206) throw statusError(response.url, status, headers);
    const identity = identityOf(status, headers);
    if (status === 206) this.checkRange(response, identity);
    else this.restart();
    this.announce(identity);
    this.mark.advance(this.position);
    this.report();
    return true;
  }

  private checkRange(response: HttpResponse, identity: HttpIdentity): void {
    const range = parseContentRange(headerOf(response.headers, 'content-range'));
    const size = range?.size ?? this.identity.size;
    const fits = range?.first === this.position && (size === undefined || range.last === size - 1);
    if (fits && isSameVersion(this.identity, identity)) return;
    this.rangesBroken = true;
    throw retryFromZero(wrongRange(response, `bytes ${this.position}- of the file begun`));
  }

  /** A 416 is fine when the file ends exactly where we are; otherwise it is another file than the one begun. */
  private confirmEnd(response: HttpResponse): boolean {
    const size = parseContentRange(headerOf(response.headers, 'content-range'))?.size;
    if (size !== this.position || !isSameVersion(this.identity, identityOf(416, response.headers))) {
      this.rangesBroken = true;
      throw retryFromZero(statusError(response.url, 416, response.headers));
    }
    this.announce({ ...this.identity, size });
    this.mark.advance(this.position);
    return false;
  }

  private restart(): void {
    this.position = 0;
    this.resumed = false;
    this.hasher = startHash(this.options);
    this.mark.rollBack();
  }

  private announce(identity: HttpIdentity): void {
    const { size } = identity;
    const { maxSize, roomIn, onStart, resumable = true } = this.options;
    if (this.announced !== undefined && size !== undefined && size !== this.announced)
      throw changedError(this.url, `it was ${this.announced} bytes long, now it is ${size}`);
    if (size !== undefined && size > maxSize) throw this.tooLong(size);
    this.identity = { ...identity, size: size ?? this.announced };
    if (!this.started) {
      assertFreeSpaceSync(roomIn ?? dirname(this.path), (size ?? 0) - this.position);
      onStart?.(size);
      this.started = true;
    }
    if (resumable && validatorOf(identity) !== undefined)
      this.write(() => writeDownloadState(this.path, this.url, this.identity));
    if (size === undefined) return;
    this.announced = size;
    this.announceSize(size);
  }

  private async receive(response: HttpResponse): Promise<void> {
    const end = this.announced;
    await response.receive((chunk) => {
      const next = this.position + chunk.length;
      if (next > (end ?? this.options.maxSize)) throw this.tooLong(next);
      this.accept(chunk);
    });
    if (end !== undefined && this.position < end)
      throw protocolError(this.url, `the connection ended after ${this.position} of ${end} bytes`, true);
  }

  /** Takes the next bytes, without waiting: see `exchange`. Into the page cache a write takes less time than the hash. */
  private accept(chunk: Uint8Array): void {
    const { fd } = this.parts.handle;
    const overlap = Math.min(chunk.length, Math.max(0, this.mark.reached - this.position));
    if (overlap > 0) this.compare(chunk.subarray(0, overlap));
    for (let done = overlap; done < chunk.length;)
      done += this.write(() => writeSync(fd, chunk, done, chunk.length - done, this.position + done));
    this.hasher.update(chunk);
    this.position += chunk.length;
    this.mark.advance(this.position);
    this.report();
  }

  private compare(data: Uint8Array): void {
    const before = Buffer.alloc(data.length);
    const length = readSync(this.parts.handle.fd, before, 0, data.length, this.position);
    if (length !== data.length || !before.equals(data))
      throw changedError(this.url, `other bytes at ${this.position} than a moment ago`);
  }

  private report(): void {
    if (this.position <= this.reported) return;
    this.options.onBytes?.(this.position - this.reported);
    this.reported = this.position;
  }

  private write<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  private tooLong(size: number): TsbuilderError {
    const limit = Math.min(this.announced ?? Infinity, this.options.maxSize);
    const text = `${this.name}: the server sends ${size} bytes or more, ${limit} are expected (${formatSize(limit)})`;
    return new TsbuilderError('TSB_SIZE_MISMATCH', text, { details: { url: this.name, size, limit } });
  }

  /** Whether the bytes so far are worth keeping: after network trouble or an abort, if there is a validator. */
  private isResumable(error: unknown): boolean {
    const kept = isAbort(error) || (error instanceof TsbuilderError && error.exit === EXIT.network);
    const { resumable = true } = this.options;
    return resumable && kept && validatorOf(this.identity) !== undefined;
  }
}

function retryFromZero(error: TsbuilderError): TsbuilderError {
  const { code, message, hint, details } = error;
  return new TsbuilderError(code, message, { hint, details: { ...details, retryable: true }, cause: error });
}
