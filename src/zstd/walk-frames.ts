import { isAllZero } from '../io/all-zero.js';
import type { ByteSource } from '../io/byte-source.js';
import { InputCursor } from '../io/input-cursor.js';
import { type FrameHeader, MAX_HEADER, isFrame, isSkippable, parseFrameHeader } from './frame-header.js';
import { type FoundFrame, type FrameTable, buildFrameTable } from './frame-table.js';
import { ZstdDecoder, ZstdFailure } from './libzstd.js';
import { zstdCorrupt } from './zstd-error.js';

const SKIPPABLE_HEADER = 8;
const BLOCK_HEADER = 3;
const CHECKSUM_SIZE = 4;
const OUTPUT = 1024 * 1024;

/** How the frames are found. */
export interface WalkOptions {
  /**
   * Is given all content, in order: every frame is decoded then, and its checksum, where it has one, is verified. The data is valid
   * until the promise resolves.
   */
  readonly sink?: ((offset: number, data: Uint8Array) => Promise<void>) | undefined;
  /** Told how many compressed bytes have been gone over since the last call. */
  readonly onProgress?: ((compressedBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The frames of a file (RFC 8878, 3), found by going over it once: from block header to block header where a frame says how much content
 * it has, by decoding it where it does not, or where somebody takes the content.
 *
 * @throws TSB_ZSTD_CORRUPT, TSB_ZSTD_LIMIT, TSB_ZSTD_UNSUPPORTED, TSB_TOOL_MISSING, what the source and the sink throw
 */
export async function walkFrames(source: ByteSource, options: WalkOptions = {}): Promise<FrameTable> {
  await using cursor = new InputCursor(source, {
    from: 0,
    to: source.size,
    onUsed: options.onProgress,
    signal: options.signal,
  });
  return await new Walk(source.name, cursor, options).run();
}

class Walk {
  readonly #name: string;
  readonly #cursor: InputCursor;
  readonly #signal: AbortSignal | undefined;
  readonly #sink: WalkOptions['sink'];
  /** Content that has been decoded. */
  #offset = 0;

  constructor(name: string, cursor: InputCursor, { signal, sink }: WalkOptions) {
    this.#name = name;
    this.#cursor = cursor;
    this.#signal = signal;
    this.#sink = sink;
  }

  async run(): Promise<FrameTable> {
    const table = buildFrameTable(this.#name);
    using decoding = lazyDecoder();
    for (;;) {
      this.#signal?.throwIfAborted();
      const head = await this.#cursor.peek(MAX_HEADER);
      if (head.length === 0) return table.finish();
      if (isSkippable(head)) await this.#skipSkippable(head);
      else if (isFrame(head)) table.add(await this.#frame(head, decoding.decoder));
      else throw this.#corrupt(this.#cursor.position === 0 ? 'not a zstd file' : 'no frame begins here');
    }
  }

  async #skipSkippable(head: Uint8Array): Promise<void> {
    const start = this.#cursor.position;
    const size = head.length < SKIPPABLE_HEADER ? 0 : Buffer.from(head).readUInt32LE(4);
    if (!(await this.#cursor.skip(SKIPPABLE_HEADER + size)))
      throw zstdCorrupt(this.#name, start, 'it ends in the skippable frame that begins here');
  }

  async #frame(head: Uint8Array, decoder: () => ZstdDecoder): Promise<FoundFrame> {
    const offset = this.#cursor.position;
    const header = parseFrameHeader(head, { name: this.#name, offset });
    const { contentSize } = header;
    const found =
      contentSize === undefined || this.#sink
        ? await this.#decode(offset, decoder())
        : { contentSize, zero: await this.#skipFrame(offset, header) };
    return { offset, compressedSize: this.#cursor.position - offset, checksum: undefined, ...found };
  }

  /** Goes over a frame from block to block (RFC 8878, 3.1.1.2). False: nothing is known of its content. */
  async #skipFrame(offset: number, header: FrameHeader): Promise<false> {
    const { contentSize = 0, blockLimit } = header;
    await this.#cursor.skip(header.length);
    let most = 0;
    for (let last = false; !last;) {
      const [low = 0, middle = 0, high] = await this.#cursor.take(BLOCK_HEADER);
      if (high === undefined) throw this.#truncated(offset);
      const [type, size] = [(low >> 1) & 3, (low + middle * 2 ** 8 + high * 2 ** 16) >>> 3];
      last = (low & 1) === 1;
      if (type === 3 || size > blockLimit) throw this.#corrupt('a damaged block header in front of here');
      if (!(await this.#cursor.skip(type === 1 ? 1 : size))) throw this.#truncated(offset);
      most += type === 2 ? blockLimit : size;
    }
    if (contentSize > most)
      throw zstdCorrupt(this.#name, offset, `a frame that says ${contentSize} bytes but has at most ${most}`);
    if (header.checksum && !(await this.#cursor.skip(CHECKSUM_SIZE))) throw this.#truncated(offset);
    return false;
  }

  /** Decodes a frame: to find out how much content it has, or for the content. The next slice is decoded while one is used. */
  async #decode(offset: number, decoder: ZstdDecoder): Promise<{ contentSize: number; zero: boolean }> {
    let [front, back] = [Buffer.allocUnsafeSlow(OUTPUT), Buffer.allocUnsafeSlow(OUTPUT)];
    let [contentSize, zero] = [0, true];
    let using = Promise.resolve();
    try {
      decoder.begin();
      for (let full = false; ;) {
        const input = await this.#cursor.rest();
        if (input.length === 0 && !full) throw this.#truncated(offset);
        const { consumed, produced, ended } = await decoder.run(input, front);
        await using;
        this.#signal?.throwIfAborted();
        this.#cursor.advance(consumed);
        contentSize += produced;
        const slice = front.subarray(0, produced);
        zero &&= isAllZero(slice);
        using = this.#use(slice);
        if (ended) {
          await using;
          return { contentSize, zero };
        }
        full = produced === front.length;
        [front, back] = [back, front];
      }
    } catch (error) {
      await using.catch(() => undefined);
      if (!(error instanceof ZstdFailure)) throw error;
      throw zstdCorrupt(this.#name, offset, `the frame that begins here: ${error.message}`);
    }
  }

  #use(slice: Uint8Array): Promise<void> {
    const at = this.#offset;
    this.#offset += slice.length;
    const using = slice.length > 0 ? (this.#sink?.(at, slice) ?? Promise.resolve()) : Promise.resolve();
    // Awaited only when the next slice is there.
    using.catch(() => undefined);
    return using;
  }

  #truncated(offset: number): Error {
    return zstdCorrupt(this.#name, offset, 'it ends in the frame that begins here');
  }

  #corrupt(what: string): Error {
    return zstdCorrupt(this.#name, this.#cursor.position, what);
  }
}

/** One decoder for all frames that need it, opened when the first one does. */
function lazyDecoder(): Disposable & { readonly decoder: () => ZstdDecoder } {
  let opened: ZstdDecoder | undefined;
  return {
    decoder: () => (opened ??= new ZstdDecoder()),
    [Symbol.dispose]: () => opened?.[Symbol.dispose](),
  };
}
