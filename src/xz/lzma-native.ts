import { TsbuilderError, messageOf } from '../errors.js';
import type { BlockDecoder, DecoderOptions, XzEngine } from './engine.js';
import { cutByContent } from './lzma2-chunks.js';
import { LZMA, LzmaFailure, TELL_UNSUPPORTED_CHECK, memlimitFor } from './lzma-result.js';

type LzmaNative = typeof import('lzma-native');
type LzmaStream = InstanceType<LzmaNative['Stream']>;

/** Output memory of the binding; it copies each filled one into a new Buffer. */
const OUTPUT = 1024 * 1024;
/** Content that one call may return on top of one LZMA2 chunk: the binding holds all of it before it hands any over. */
const CONTENT_PER_CALL = 1024 * 1024;

/**
 * The xz library inside the npm package lzma-native: slower than the system's, but there on every platform it has a binary for.
 *
 * @throws TSB_TOOL_MISSING when it is not installed or has no binary for this platform
 */
export async function loadLzmaNative(): Promise<XzEngine> {
  const binding = await import('lzma-native').catch((error: unknown) => {
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
  return {
    async *decode(pieces, size) {
      const stream = new binding.Stream();
      try {
        stream.streamDecoder_(memlimitFor(options.dictionaryLimit), TELL_UNSUPPORTED_CHECK);
        stream.setBufsize(Math.min(OUTPUT, options.sliceSize));
        yield* decodeStream(stream, cutByContent(pieces, CONTENT_PER_CALL), size);
      } finally {
        stream.resetUnderlying();
      }
    },
    [Symbol.dispose]: () => undefined,
  };
}

async function* decodeStream(
  stream: LzmaStream,
  pieces: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void> {
  let done = 0;
  let ended = false;
  for await (const piece of pieces) {
    if (ended) throw new LzmaFailure(LZMA.dataError);
    const result = await runCode(stream, piece);
    ended = result.ended;
    for (const slice of result.slices) {
      done += slice.length;
      if (done > size) throw new LzmaFailure(LZMA.bufError);
      yield slice;
    }
  }
  if (!ended || done !== size) throw new LzmaFailure(LZMA.bufError);
}

/** One call into the library on the libuv pool. Resolves or rejects when the call is over. */
function runCode(stream: LzmaStream, piece: Uint8Array): Promise<{ slices: Uint8Array[]; ended: boolean }> {
  return new Promise((resolve, reject) => {
    const slices: Uint8Array[] = [];
    // The binding calls back from a loop over its own state: what follows must not run inside of it.
    const settle = (finish: () => void): void => void setImmediate(finish);
    stream.bufferHandler = (content, processedPieces, error) => {
      if (content) slices.push(content);
      else if (error) settle(() => reject(new LzmaFailure(error.code ?? LZMA.dataError)));
      else if (content === null) settle(() => resolve({ slices, ended: true }));
      else if (processedPieces !== undefined) settle(() => resolve({ slices, ended: false }));
    };
    stream.code(piece, true);
  });
}
