import { createHash } from 'node:crypto';
import type { ByteSource } from '../io/byte-source.js';
import { startHash } from '../io/hash-content.js';
import type { BlockMap, MapRange } from './block-map.js';
import type { XzIndex } from './block-table.js';

/** The part of a MapRange that the file's index tells. */
type Place = Omit<MapRange, 'sha256'>;

const PIECE = 1024 * 1024;

/** The blocks of an xz file and what is between them, in order: together every byte of the file, once. */
export function* tileFile(index: XzIndex): Iterable<Place> {
  let covered = 0;
  for (const { compressedOffset: offset, totalSize: length } of index.blocks()) {
    if (offset > covered) yield { kind: 'edge', offset: covered, length: offset - covered };
    yield { kind: 'block', offset, length };
    covered = offset + length;
  }
  if (covered < index.compressedSize)
    yield { kind: 'edge', offset: covered, length: index.compressedSize - covered };
}

/**
 * Reads the whole of an xz file, once, and makes its block map. The same file always has the same map.
 *
 * @param index of that file
 * @throws what reading throws
 */
export async function makeBlockMap(
  source: ByteSource,
  index: XzIndex,
  signal?: AbortSignal,
): Promise<BlockMap> {
  const whole = startHash();
  const ranges: MapRange[] = [];
  for (const place of tileFile(index)) {
    const hash = createHash('sha256');
    for await (const piece of readPieces(source, place, signal)) {
      hash.update(piece);
      whole.update(piece);
    }
    ranges.push({ ...place, sha256: hash.digest('hex') });
  }
  const { size, sha512 } = whole.digest();
  return { size, sha512, ranges };
}

/** The bytes of a stretch of `source` in pieces of at most 1 MiB. @throws what reading throws */
export async function* readPieces(
  source: ByteSource,
  { offset, length }: { readonly offset: number; readonly length: number },
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  for (let done = 0; done < length; done += PIECE)
    yield await source.read(offset + done, Math.min(PIECE, length - done), signal);
}
