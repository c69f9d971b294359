import { TsbuilderError, messageOf } from '../errors.js';
import type { BlockDecoder, DecoderOptions, XzEngine } from './engine.js';
import { freeNow } from './free-now.js';
import { cutByContent } from './lzma2-chunks.js';
import { LZMA, LzmaFailure, TELL_UNSUPPORTED_CHECK, memlimitFor } from './lzma-result.js';

type LzmaNative = (typeof import('lzma-native'))['default'];
type LzmaStream = InstanceType<LzmaNative['Stream']>;

/** A stream header and the longest block header. */
const MAX_HEADERS = 12 + 1024;
/** Output memory of the binding; it copies each filled one into a new Buffer. */
const OUTPUT = 256 * 1024;
/** Content of one call where chunks are small enough: the binding keeps all of it before it hands any over. */
const CONTENT_PER_CALL = 256 * 1024;

/**
 * The xz library inside the npm package lzma-native: slower than the system's, but there on every platform it has a binary for.
 *
 * @throws TSB_TOOL_MISSING when it is not installed or has no binary for this platform
 */
export async function loadLzmaNative(): Promise<XzEngine> {
  const { default: binding } = await import('lzma-native').catch((error: unknown) => {
    throw new TsbuilderError('TSB_TOOL_MISSING', `no xz library can be loaded: ${messageOf(error)}`, {
      hint: 'Install liblzma: apt-get install liblzma5',
      cause: error,
    });
  });
  return {
    name: `liblzma ${binding.versionString()} (lzma-native)`,
    openDecoder: (options) => lzmaNativeDecoder(binding, options),
  };
}

function lzmaNativeDecoder(binding: LzmaNative, options: DecoderOptions): BlockDecoder {
  const output = Buffer.allocUnsafeSlow(options.sliceSize);
  return {
    async *decode(pieces, size) {
      const stream = new binding.Stream();
      try {
        stream.streamDecoder_(memlimitFor(options.dictionaryLimit), TELL_UNSUPPORTED_CHECK);
        stream.setBufsize(Math.min(OUTPUT, options.sliceSize));
        const contents = decodeStream(stream, cutByContent(pieces, CONTENT_PER_CALL), size);
        yield* regroup(contents, output);
      } finally {
        stream.resetUnderlying();
      }
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** What the library makes of `pieces`, in Buffers of any size; ends only when the stream was found right. */
async function* decodeStream(
  stream: LzmaStream,
  pieces: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void> {
  let done = 0;
  let ended = false;
  let fed = 0;
  for await (const piece of pieces) {
    if (ended) throw new LzmaFailure(LZMA.dataError);
    fed += piece.length;
    const result = await runCode(stream, piece, fed > MAX_HEADERS);
    ended = result.ended;
    for (const content of result.contents) done += content.length;
    if (done > size) throw new LzmaFailure(LZMA.bufError);
    yield* result.contents;
  }
  if (!ended || done !== size) throw new LzmaFailure(LZMA.bufError);
}

/** Copies Buffers of any size into `output` and yields it each time it is full, and what is left at the end. */
async function* regroup(
  contents: AsyncIterable<Uint8Array>,
  output: Buffer,
): AsyncGenerator<Uint8Array, void> {
  let filled = 0;
  for await (const content of contents) {
    for (let at = 0; at < content.length;) {
      const part = content.subarray(at, at + output.length - filled);
      output.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < output.length) continue;
      yield output;
      filled = 0;
    }
    freeNow(content);
  }
  if (filled > 0) yield output.subarray(0, filled);
}

/**
 * One call into the library. Resolves or rejects when the call is over. Headers are decoded on the main thread, content in the libuv
 * pool: so the dictionaries, which are allocated after the headers, share the main thread's heap. The C library gives each thread of
 * the pool a heap of its own and keeps what is freed there.
 */
function runCode(
  stream: LzmaStream,
  piece: Uint8Array,
  inPool: boolean,
): Promise<{ contents: Uint8Array[]; ended: boolean }> {
  return new Promise((resolve, reject) => {
    const contents: Uint8Array[] = [];
    // The binding calls back from a loop over its own state: what follows must not run inside of it.
    const settle = (finish: () => void): void => void setImmediate(finish);
    stream.bufferHandler = (content, processedPieces, error) => {
      if (content) contents.push(content);
      else if (error) settle(() => reject(new LzmaFailure(error.code ?? LZMA.dataError)));
      else if (content === null) settle(() => resolve({ contents, ended: true }));
      else if (processedPieces !== undefined) settle(() => resolve({ contents, ended: false }));
    };
    stream.code(piece, inPool);
  });
}
