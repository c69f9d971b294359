import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, vi } from 'vitest';
import { type ByteSource, bytesSource } from '../../src/io/byte-source.js';
import { decodeXz } from '../../src/xz/decode-xz.js';
import { readXzIndex } from '../../src/xz/xz-index.js';

/** `data` compressed by the xz tool, one thread unless `args` say otherwise. */
export function xz(data: Uint8Array, ...args: string[]): Buffer {
  return execFileSync('xz', ['-c', '-T1', ...args], { input: data, maxBuffer: 2 ** 30 });
}

/** Bytes that compress, but not to nothing, and differ from offset to offset. */
export function text(length: number, seed = 1): Buffer {
  const data = Buffer.alloc(length);
  let state = seed;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    data[at] = 97 + ((state >>> 24) % 16);
  }
  return data;
}

/** A source over `data` that counts what is read of it. */
export function countingSource(data: Uint8Array): ByteSource & { readonly bytesRead: () => number } {
  const inner = bytesSource('test.xz', data);
  let count = 0;
  return {
    ...inner,
    read(offset, length, signal) {
      count += length;
      return inner.read(offset, length, signal);
    },
    bytesRead: () => count,
  };
}

/** What a decoder delivered. */
export interface Delivered {
  readonly content: Buffer;
  /** Calls of onZero and of onData. */
  readonly zeroCalls: number;
  readonly dataCalls: number;
}

/** Decodes all of `data` in memory, checking that every byte is delivered exactly once. */
export async function decodeAll(
  data: Uint8Array,
  options: { jobs?: number; sliceSize?: number; dictionaryLimit?: number; signal?: AbortSignal } = {},
): Promise<Delivered> {
  const source = bytesSource('test.xz', data);
  const index = await readXzIndex(source);
  const content = Buffer.alloc(index.uncompressedSize, 0x55);
  const seen = Buffer.alloc(index.uncompressedSize);
  let zeroCalls = 0;
  let dataCalls = 0;
  const mark = (offset: number, length: number): void => {
    if (seen.subarray(offset, offset + length).includes(1)) throw new Error(`delivered twice at ${offset}`);
    seen.fill(1, offset, offset + length);
  };
  await decodeXz({
    source,
    index,
    jobs: options.jobs ?? 2,
    sliceSize: options.sliceSize,
    dictionaryLimit: options.dictionaryLimit,
    signal: options.signal,
    async onData(offset, slice) {
      dataCalls += 1;
      mark(offset, slice.length);
      // The slice must still be whole after a turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      content.set(slice, offset);
    },
    onZero(offset, length) {
      zeroCalls += 1;
      mark(offset, length);
      content.fill(0, offset, offset + length);
      return Promise.resolve();
    },
  });
  if (seen.includes(0)) throw new Error(`not delivered: byte ${seen.indexOf(0)}`);
  return { content, zeroCalls, dataCalls };
}

/** The xz libraries there are on the machines that run tests, and how each is asked for. */
const ENGINES = [
  { engine: 'liblzma', title: 'the liblzma chosen by default', env: { TSBUILDER_XZ: 'liblzma' } },
  {
    engine: 'liblzma',
    title: "the system's liblzma",
    env: { TSBUILDER_XZ: 'liblzma', TSBUILDER_LIBLZMA: 'liblzma.so.5' },
  },
  { engine: 'lzma-native', title: 'lzma-native', env: { TSBUILDER_XZ: 'lzma-native' } },
] as const;

/** Runs `body`'s tests once with each xz library. */
export function describeEachEngine(name: string, body: (engine: string) => void): void {
  describe.each(ENGINES)(`${name}, $title`, ({ engine, env }) => {
    beforeAll(() => {
      for (const [variable, value] of Object.entries(env)) vi.stubEnv(variable, value);
    });
    afterAll(() => vi.unstubAllEnvs());
    body(engine);
  });
}
