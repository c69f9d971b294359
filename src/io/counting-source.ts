import type { ByteSource } from './byte-source.js';
import type { Counters } from './counters.js';

/** `source` with every byte that is read of it added to `counters.bytesFetched`. Disposing the result disposes `source`. */
export function countingSource(source: ByteSource, counters: Counters): ByteSource {
  const { name, size } = source;
  return {
    name,
    size,
    async read(offset, length, signal) {
      const data = await source.read(offset, length, signal);
      counters.bytesFetched += data.length;
      return data;
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}
