import { type ByteSource, assertRange } from './byte-source.js';

/** Bytes kept from the end of a file. An xz index of 2000 blocks, or the second half of a GPT, has room in them. */
const TAIL = 16 * 1024;
/** The tail takes no more than this part of a small file. */
const TAIL_SHARE = 1 / 128;

/**
 * A source whose first bytes are known already (`head`), and whose last ones are read in one go when the first of them is asked
 * for: whoever opens an image reads there again and again, and each read of a remote file costs a request. Disposing the result
 * disposes `inner`.
 */
export function keepEdges(inner: ByteSource, head: Uint8Array): ByteSource {
  const { name, size } = inner;
  const tailAt = size - Math.min(TAIL, Math.floor(size * TAIL_SHARE));
  let tail: Promise<Uint8Array> | undefined;
  const fromTail = async (offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> => {
    const isFirst = tail === undefined;
    const reading = (tail ??= inner.read(tailAt, size - tailAt, signal));
    try {
      return copyOf(await reading, offset - tailAt, length);
    } catch (error) {
      if (tail === reading) tail = undefined;
      if (isFirst) throw error;
      // It may have been stopped by another's signal.
      return inner.read(offset, length, signal);
    }
  };
  return {
    name,
    size,
    read(offset, length, signal) {
      assertRange(inner, offset, length);
      if (offset + length <= head.length) return Promise.resolve(copyOf(head, offset, length));
      if (offset >= tailAt && length > 0) return fromTail(offset, length, signal);
      return inner.read(offset, length, signal);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** A copy of a part; `slice` makes none of a Buffer. */
function copyOf(data: Uint8Array, offset: number, length: number): Uint8Array {
  return new Uint8Array(data.subarray(offset, offset + length));
}
