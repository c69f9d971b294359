import { crc32 } from 'node:zlib';
import { isAllZero } from '../io/all-zero.js';
import type { ByteSource } from '../io/byte-source.js';
import { InputCursor } from '../io/input-cursor.js';
import { gzipCorrupt } from './gzip-error.js';
import { Inflater, type RestartPoint } from './inflater.js';
import { type Filled, MemberReader } from './member-reader.js';
import { SeekPoints } from './seek-points.js';

/** Content decoded by one native call: large, because each call costs a trip through the pool. */
const SLICE = 1024 * 1024;
const NO_WINDOW = new Uint8Array(0);

/** How the first pass is made. */
export interface FirstPassOptions {
  /** Bytes of content between two seek points. */
  readonly seekPointBytes: number;
  /** Is given all content, in order. The data is valid until the promise resolves. */
  readonly sink?: ((offset: number, data: Uint8Array) => Promise<void>) | undefined;
  /** Told how many compressed bytes have been used since the last call. */
  readonly onProgress?: ((compressedBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the first pass has found out. */
export interface GzipMap {
  readonly points: SeekPoints;
  /** Bytes of content. */
  readonly size: number;
  /** CRC32 of all content. */
  readonly crc: number;
  /** Offset in the file behind the last member. */
  readonly end: number;
}

/**
 * Decodes a gzip file once from start to end: checks every member's CRC32 and size, and gathers seek points. Reading, decoding and
 * what is done with the content overlap.
 *
 * @throws TSB_GZIP_CORRUPT, TSB_TOOL_MISSING, what the source and the sink throw
 */
export async function passOverGzip(source: ByteSource, options: FirstPassOptions): Promise<GzipMap> {
  using inflater = new Inflater();
  await using cursor = new InputCursor(source, {
    from: 0,
    to: source.size,
    onUsed: options.onProgress,
    signal: options.signal,
  });
  return await new FirstPass({ name: source.name, cursor, inflater, options }).run();
}

interface Parts {
  readonly name: string;
  readonly cursor: InputCursor;
  readonly inflater: Inflater;
  readonly options: FirstPassOptions;
}

class FirstPass {
  readonly #parts: Parts;
  readonly #reader: MemberReader;
  readonly #points: SeekPoints;
  /** Content that has been gone through: in the file, in this member, and their CRC32. */
  #offset = 0;
  #crc = 0;
  #memberSize = 0;
  #memberCrc = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#reader = new MemberReader(parts.name, parts.cursor, parts.inflater);
    this.#points = new SeekPoints(parts.options.seekPointBytes);
  }

  async run(): Promise<GzipMap> {
    const buffers: [Buffer, Buffer] = [Buffer.allocUnsafeSlow(SLICE), Buffer.allocUnsafeSlow(SLICE)];
    let end = 0;
    while (await this.#reader.openMember()) {
      const { position } = this.#parts.cursor;
      if (this.#points.count === 0 || this.#isDue(this.#offset))
        this.#addPoint({ offset: position, bits: 0, window: NO_WINDOW });
      await this.#readMember(buffers);
      end = this.#parts.cursor.position;
    }
    if (this.#points.count > 0 && this.#points.lastOffset === this.#offset) this.#points.dropLast();
    return { points: this.#points, size: this.#offset, crc: this.#crc, end };
  }

  async #readMember([first, second]: [Buffer, Buffer]): Promise<void> {
    this.#memberSize = 0;
    this.#memberCrc = 0;
    let [front, back] = [first, second];
    let running = this.#fill(front, this.#offset);
    try {
      for (;;) {
        const filled = await running;
        const data = front.subarray(0, filled.length);
        const point = filled.by === 'block' ? this.#capture(filled.unusedBits) : undefined;
        // The next slice is decoded in the pool while this one is used here.
        if (filled.by !== 'member') running = this.#fill(back, this.#offset + data.length, point);
        await this.#use(data);
        if (point) this.#addPoint(point);
        if (filled.by === 'member') break;
        [front, back] = [back, front];
      }
    } finally {
      await running.catch(() => undefined);
    }
    await this.#checkTrailer();
  }

  /** Decodes what comes at `offset`: until the next seek point is due, or, when it is, to a place where one can be. */
  #fill(output: Buffer, offset: number, pointHere?: RestartPoint): Promise<Filled> {
    const left = (pointHere ? offset : this.#points.lastOffset) + this.#points.spacing - offset;
    const filling =
      left > 0
        ? this.#reader.fill(output.subarray(0, Math.min(left, output.length)), 'end')
        : this.#reader.fill(output, 'block');
    // Awaited only when the slice in front of it has been used.
    filling.catch(() => undefined);
    return filling;
  }

  async #use(data: Uint8Array): Promise<void> {
    this.#parts.options.signal?.throwIfAborted();
    if (!isAllZero(data)) this.#points.sawData();
    // Of a file with one member, as most are, both are the same.
    const same = this.#memberSize === this.#offset;
    this.#memberCrc = crc32(data, this.#memberCrc);
    this.#crc = same ? this.#memberCrc : crc32(data, this.#crc);
    const { sink } = this.#parts.options;
    if (data.length > 0) await sink?.(this.#offset, data);
    this.#offset += data.length;
    this.#memberSize += data.length;
  }

  #isDue(offset: number): boolean {
    return offset - this.#points.lastOffset >= this.#points.spacing;
  }

  /** The place where the decoder stands, between two blocks. */
  #capture(bits: number): RestartPoint {
    const { position } = this.#parts.cursor;
    return { offset: bits > 0 ? position - 1 : position, bits, window: this.#parts.inflater.window() };
  }

  #addPoint(point: RestartPoint): void {
    this.#points.add({ ...point, contentOffset: this.#offset, crc: this.#crc });
  }

  async #checkTrailer(): Promise<void> {
    const { position } = this.#parts.cursor;
    const { crc, size } = await this.#reader.readTrailer();
    const { name } = this.#parts;
    if (crc !== this.#memberCrc)
      throw gzipCorrupt(name, position, 'the content of a member has another CRC32 than its trailer says');
    if (size !== this.#memberSize % 2 ** 32)
      throw gzipCorrupt(name, position, 'the content of a member has another size than its trailer says');
  }
}
