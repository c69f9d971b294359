import { type ByteSource, assertRange } from '../../io/byte-source.js';

const PIECE = 64 * 1024;
const MAX_PIECES = 256;

/**
 * `parent` with its last 16 MiB of pieces kept in memory: inodes and contents of files that were made one after the other lie side by
 * side, and would be read one by one. Only for as long as nobody writes to it.
 */
export function rememberingSource(parent: ByteSource): ByteSource {
  const pieces = new Map<number, Promise<Uint8Array>>();
  const pieceAt = (index: number, signal?: AbortSignal): Promise<Uint8Array> => {
    const start = index * PIECE;
    const known = pieces.get(index) ?? parent.read(start, Math.min(PIECE, parent.size - start), signal);
    // A Map keeps its order, so the first is the one that was not used for longest.
    pieces.delete(index);
    pieces.set(index, known);
    for (const oldest of pieces.keys()) {
      if (pieces.size <= MAX_PIECES) break;
      pieces.delete(oldest);
    }
    return known;
  };
  const source: ByteSource = {
    name: parent.name,
    size: parent.size,
    async read(offset, length, signal) {
      assertRange(source, offset, length);
      const index = Math.floor(offset / PIECE);
      const at = offset - index * PIECE;
      if (length === 0 || at + length > PIECE) return parent.read(offset, length, signal);
      return (await pieceAt(index, signal)).slice(at, at + length);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return source;
}
