import { type Duplex, duplexPair } from 'node:stream';
import { type Counters, newCounters } from '../../src/io/counters.js';
import { type NbdServerOptions, serveNbdConnection } from '../../src/nbd/nbd-server.js';

/** The other end of a connection, byte by byte. */
export class RawClient {
  readonly socket: Duplex;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on('data', (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Exactly `length` bytes; fails when the connection ends first. */
  async take(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      if (this.#ended) throw new Error(`ended with ${this.#received.length} of ${length} bytes`);
      await this.#change();
    }
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  /** What comes until the connection ends. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#change();
    return this.#received;
  }

  /** Reads the greeting and answers with `flags`. */
  async greet(flags = 3): Promise<Buffer> {
    const greeting = await this.take(18);
    this.send(u32(flags));
    return greeting;
  }

  /** Sends an option and collects its replies up to the one that ends it. */
  async option(number: number, data: Uint8Array = Buffer.alloc(0)): Promise<OptionAnswer[]> {
    this.send(optionFrame(number, data));
    const answers: OptionAnswer[] = [];
    for (;;) {
      const header = await this.take(20);
      const body = await this.take(header.readUInt32BE(16));
      answers.push({
        magic: header.readBigUInt64BE(0),
        option: header.readUInt32BE(8),
        type: header.readUInt32BE(12),
        data: body,
      });
      const type = header.readUInt32BE(12);
      if (type === 1 || type >= 0x80000000) return answers;
    }
  }

  /** Negotiates the export `name` with what is asked for, up to the transmission phase. */
  async go(name = '', features: { structured?: boolean; allocation?: boolean } = {}): Promise<void> {
    await this.greet();
    if (features.structured ?? true) await this.option(8);
    if (features.allocation ?? true) await this.option(10, metaQuery(name, ['base:allocation']));
    await this.option(7, infoRequest(name));
  }

  /** One simple reply without payload. */
  async simple(): Promise<{ errno: number; cookie: bigint }> {
    const frame = await this.take(16);
    if (frame.readUInt32BE(0) !== 0x67446698) throw new Error(`no simple reply: ${frame.toString('hex')}`);
    return { errno: frame.readUInt32BE(4), cookie: frame.readBigUInt64BE(8) };
  }

  /** One chunk of a structured reply. */
  async chunk(): Promise<Chunk> {
    const frame = await this.take(20);
    if (frame.readUInt32BE(0) !== 0x668e33ef) throw new Error(`no chunk: ${frame.toString('hex')}`);
    return {
      flags: frame.readUInt16BE(4),
      type: frame.readUInt16BE(6),
      cookie: frame.readBigUInt64BE(8),
      data: await this.take(frame.readUInt32BE(16)),
    };
  }

  /** All chunks of one structured reply. */
  async chunks(): Promise<Chunk[]> {
    const chunks: Chunk[] = [];
    do chunks.push(await this.chunk());
    while ((chunks.at(-1)!.flags & 1) === 0);
    return chunks;
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

export interface OptionAnswer {
  readonly magic: bigint;
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

export interface Chunk {
  readonly flags: number;
  readonly type: number;
  readonly cookie: bigint;
  readonly data: Buffer;
}

/** A connection in memory to a server that serves it. */
export interface MemoryConnection {
  readonly client: RawClient;
  readonly lines: string[];
  readonly counters: Counters;
  /** Resolves when the server is done with the connection. */
  readonly served: Promise<void>;
  readonly stop: AbortController;
}

/** The client's and the server's end of a connection. When the client's is destroyed, so is the server's; the other way round it ends. */
export function connectedPair(): [Duplex, Duplex] {
  const [near, far] = duplexPair();
  near.on('close', () => far.destroy());
  far.on('close', () => {
    if (!far.writableFinished) near.push(null);
  });
  return [near, far];
}

/** Connects to a server of `options`, without a real socket. */
export function connectInMemory(
  options: Partial<NbdServerOptions> & Pick<NbdServerOptions, 'exports'>,
): MemoryConnection {
  const [near, far] = connectedPair();
  const lines: string[] = [];
  const counters = newCounters();
  const stop = new AbortController();
  const full: NbdServerOptions = {
    defaultExport: options.exports[0]?.name ?? '',
    log: (line) => lines.push(line),
    counters,
    ...options,
  };
  return {
    client: new RawClient(near),
    lines,
    counters,
    stop,
    served: serveNbdConnection(far, full, stop.signal),
  };
}

export function u16(value: number): Buffer {
  const field = Buffer.alloc(2);
  field.writeUInt16BE(value);
  return field;
}

export function u32(value: number): Buffer {
  const field = Buffer.alloc(4);
  field.writeUInt32BE(value);
  return field;
}

export function u64(value: number | bigint): Buffer {
  const field = Buffer.alloc(8);
  field.writeBigUInt64BE(BigInt(value));
  return field;
}

export function optionFrame(number: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from('IHAVEOPT'), u32(number), u32(data.length), data]);
}

/** The data of INFO and GO. */
export function infoRequest(name: string, wanted: readonly number[] = []): Buffer {
  const bytes = Buffer.from(name);
  return Buffer.concat([u32(bytes.length), bytes, u16(wanted.length), ...wanted.map(u16)]);
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function metaQuery(name: string, queries: readonly string[]): Buffer {
  const strings = [name, ...queries].map((text) => Buffer.from(text));
  const fields = strings.map((bytes) => Buffer.concat([u32(bytes.length), bytes]));
  return Buffer.concat([fields[0]!, u32(queries.length), ...fields.slice(1)]);
}

export function requestFrame(request: {
  type: number;
  flags?: number;
  cookie?: bigint;
  offset?: number | bigint;
  length?: number;
}): Buffer {
  return Buffer.concat([
    u32(0x25609513),
    u16(request.flags ?? 0),
    u16(request.type),
    u64(request.cookie ?? 1n),
    u64(request.offset ?? 0),
    u32(request.length ?? 0),
  ]);
}
