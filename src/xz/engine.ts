import { TsbuilderError } from '../errors.js';
import type { XzEncoderLibrary } from './encode-liblzma.js';

/** How a decoder is made. */
export interface DecoderOptions {
  /** Bytes of content handed over at once; also the decoder's output memory. */
  readonly sliceSize: number;
  /** Largest LZMA2 dictionary accepted, in bytes. */
  readonly dictionaryLimit: number;
}

/** One decoder. It decodes one stream after another, never two at once. Dispose it when no stream is being decoded. */
export interface BlockDecoder extends Disposable {
  /**
   * Decodes one whole xz stream, given piece by piece, that must hold exactly `size` bytes of content.
   *
   * All slices but the last have `sliceSize` bytes. A slice is valid until the next one is
   * asked for. Sizes, integrity check and index have been verified when the generator ends, not before. Nothing native is running whenever the generator is suspended or has ended.
   *
   * @throws LzmaFailure
   */
  decode(pieces: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array, void>;
}

/** A way to decode xz, and perhaps to encode it. */
export interface XzEngine {
  /** For messages and `--verbose`: which library, which version, from where. */
  readonly name: string;
  openDecoder(options: DecoderOptions): BlockDecoder;
  /** Absent where only decoding goes through this library. */
  readonly encoders?: XzEncoderLibrary | undefined;
}

let cached: { readonly wanted: string; readonly engine: Promise<XzEngine> } | undefined;

/**
 * The xz library to use: the system's liblzma through koffi, else the one inside lzma-native. `TSBUILDER_XZ=liblzma` or
 * `TSBUILDER_XZ=lzma-native` allows only that one.
 *
 * @throws TSB_TOOL_MISSING when none can be loaded, TSB_USAGE when TSBUILDER_XZ has another value
 */
export function loadXzEngine(): Promise<XzEngine> {
  const wanted = `${process.env['TSBUILDER_XZ'] ?? ''}\n${process.env['TSBUILDER_LIBLZMA'] ?? ''}`;
  if (cached?.wanted !== wanted) cached = { wanted, engine: chooseEngine(process.env['TSBUILDER_XZ'] ?? '') };
  return cached.engine;
}

async function chooseEngine(wanted: string): Promise<XzEngine> {
  if (!['', 'liblzma', 'lzma-native'].includes(wanted)) {
    throw new TsbuilderError('TSB_USAGE', `TSBUILDER_XZ=${wanted}: no such xz library`, {
      hint: 'Use liblzma or lzma-native, or unset it.',
    });
  }
  const { loadLiblzma } = await import('./liblzma.js');
  const engine = wanted === 'lzma-native' ? undefined : loadLiblzma();
  if (engine) return engine;
  if (wanted === 'liblzma') {
    throw new TsbuilderError('TSB_TOOL_MISSING', 'liblzma.so.5 (5.2.0 or newer) cannot be loaded', {
      hint: 'Install it: apt-get install liblzma5',
    });
  }
  const { loadLzmaNative } = await import('./lzma-native.js');
  return loadLzmaNative();
}
