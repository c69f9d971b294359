import type { EncoderOptions, Lzma2Encoder, XzEncoderLibrary } from './encode-liblzma.js';

/**
 * Several encoders behind the face of one that may be asked to pack many blocks at once: at most `jobs` of them are being packed, the
 * others wait for their turn. Encoders are made as they are needed, and used again.
 *
 * @throws LzmaFailure
 */
export function openEncoderPool(
  library: XzEncoderLibrary,
  options: EncoderOptions & { readonly jobs: number },
): Lzma2Encoder {
  const first = library.openEncoder(options);
  const all = [first];
  const idle = [first];
  const turns: ((encoder: Lzma2Encoder) => void)[] = [];
  const take = (): Lzma2Encoder | Promise<Lzma2Encoder> => {
    const ready = idle.pop();
    if (ready) return ready;
    if (all.length >= options.jobs) return new Promise((resolve) => turns.push(resolve));
    const made = library.openEncoder(options);
    all.push(made);
    return made;
  };
  const giveBack = (encoder: Lzma2Encoder): void => {
    const next = turns.shift();
    if (next) next(encoder);
    else idle.push(encoder);
  };
  return {
    property: first.property,
    async encode(data, output, onSlice) {
      const encoder = await take();
      try {
        return await encoder.encode(data, output, onSlice);
      } finally {
        giveBack(encoder);
      }
    },
    [Symbol.dispose]() {
      for (const encoder of all) encoder[Symbol.dispose]();
    },
  };
}
