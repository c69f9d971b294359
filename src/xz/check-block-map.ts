import { createHash } from 'node:crypto';
import { TsbuilderError } from '../errors.js';
import { type ByteSource, assertRange } from '../io/byte-source.js';
import type { BlockMap, MapRange } from './block-map.js';
import type { XzIndex } from './block-table.js';
import type { BlockVerifier } from './block-verifier.js';
import { readPieces, tileFile } from './make-block-map.js';
import { readXzIndex } from './xz-index.js';

/** What a map's edges may hold together in bytes: they are read into memory. */
const MAX_EDGE_BYTES = 64 * 1024 * 1024;

/** One stretch of a file that is not what its block map says. */
export interface DamagedRange {
  readonly range: MapRange;
  /** `block 12 (bytes 1000-1999)`, or the same for an edge. */
  readonly label: string;
}

/**
 * Reads the index of an xz file out of bytes that the map vouches for: all that is between the blocks is read once, compared
 * with the map, and only then parsed.
 *
 * @throws TSB_SIZE_MISMATCH, TSB_CHECKSUM_MISMATCH when the file is not the one that the map describes,
 *   TSB_BLOCK_MAP_INVALID when the map divides the file otherwise than its index, and the codes of `readXzIndex`
 */
export async function readVerifiedIndex(
  source: ByteSource,
  map: BlockMap,
  signal?: AbortSignal,
): Promise<XzIndex> {
  if (source.size !== map.size) {
    throw new TsbuilderError(
      'TSB_SIZE_MISMATCH',
      `${source.name}: is ${source.size} bytes, its block map describes a file of ${map.size}`,
      { hint: 'The file or its block map is wrong: try later, or tell the publisher.' },
    );
  }
  const edges = await readEdges(source, map, signal);
  const index = await readXzIndex(edgesSource(source, edges), { signal });
  assertSameTiling(source, index, map);
  return index;
}

/** A verifier of the blocks of `source`, whose blocks are those of the map: `readVerifiedIndex` has seen to that. */
export function blockVerifier(source: { readonly name: string }, map: BlockMap): BlockVerifier {
  const blocks = map.ranges.filter(({ kind }) => kind === 'block');
  const begin: BlockVerifier['begin'] = (number) => {
    const range = blocks[number];
    if (range === undefined) throw new RangeError(`no block ${number} of ${blocks.length}`);
    const hash = createHash('sha256');
    return {
      update: (piece) => void hash.update(piece),
      finish() {
        const found = hash.digest('hex');
        if (found !== range.sha256) throw mismatch(source.name, { range, found, block: number });
      },
    };
  };
  return {
    begin,
    check(number, compressed) {
      const check = begin(number);
      check.update(compressed);
      check.finish();
    },
  };
}

/** The stretches of `source` that are not what the map says, in order; those beyond its end are among them. */
export async function* findDamage(
  source: ByteSource,
  map: BlockMap,
  signal?: AbortSignal,
): AsyncIterable<DamagedRange> {
  let block = -1;
  for (const range of map.ranges) {
    if (range.kind === 'block') block += 1;
    const { offset, length } = range;
    if (offset + length <= source.size && (await hashRange(source, range, signal)) === range.sha256) continue;
    yield { range, label: labelOf(range, block) };
  }
}

/** Whether two maps divide a file alike: only then can their hashes be compared one by one. */
export function isTiledAlike(a: BlockMap, b: BlockMap): boolean {
  return (
    a.ranges.length === b.ranges.length &&
    a.ranges.every((range, at) => {
      const other = b.ranges[at];
      return range.kind === other?.kind && range.offset === other.offset && range.length === other.length;
    })
  );
}

/** The stretches of a file, whose map is `found`, that are not what `expected` says of them; the two are tiled alike. */
export function differingRanges(found: BlockMap, expected: BlockMap): DamagedRange[] {
  let block = -1;
  return expected.ranges.flatMap((range, at) => {
    if (range.kind === 'block') block += 1;
    return found.ranges[at]?.sha256 === range.sha256 ? [] : [{ range, label: labelOf(range, block) }];
  });
}

async function hashRange(source: ByteSource, range: MapRange, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of readPieces(source, range, signal)) hash.update(piece);
  return hash.digest('hex');
}

/** The bytes of an edge, verified. */
interface Edge {
  readonly offset: number;
  readonly data: Uint8Array;
}

async function readEdges(source: ByteSource, map: BlockMap, signal?: AbortSignal): Promise<Edge[]> {
  const ranges = map.ranges.filter(({ kind }) => kind === 'edge');
  const total = ranges.reduce((sum, { length }) => sum + length, 0);
  if (total > MAX_EDGE_BYTES) {
    throw new TsbuilderError(
      'TSB_XZ_LIMIT',
      `${source.name}: has ${total} bytes between its blocks, the limit is ${MAX_EDGE_BYTES}`,
    );
  }
  const edges: Edge[] = [];
  for (const range of ranges) {
    const data = await source.read(range.offset, range.length, signal);
    const found = createHash('sha256').update(data).digest('hex');
    if (found !== range.sha256) throw mismatch(source.name, { range, found });
    edges.push({ offset: range.offset, data });
  }
  return edges;
}

/** The file with zeros in place of its blocks: nobody who reads an index looks at them. */
function edgesSource(source: ByteSource, edges: readonly Edge[]): ByteSource {
  return {
    name: source.name,
    size: source.size,
    read(offset, length) {
      assertRange(source, offset, length);
      const result = Buffer.alloc(length);
      for (let at = firstEndingBehind(edges, offset); at < edges.length; at += 1) {
        const edge = edges[at];
        if (edge === undefined || edge.offset >= offset + length) break;
        const skip = Math.max(0, offset - edge.offset);
        result.set(edge.data.subarray(skip, offset + length - edge.offset), edge.offset + skip - offset);
      }
      return Promise.resolve(result);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Index of the first edge with a byte at or behind `offset`. */
function firstEndingBehind(edges: readonly Edge[], offset: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const edge = edges[middle];
    if (edge !== undefined && edge.offset + edge.data.length <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function assertSameTiling(source: ByteSource, index: XzIndex, map: BlockMap): void {
  let at = 0;
  for (const place of tileFile(index)) {
    const range = map.ranges[at];
    if (range?.kind !== place.kind || range.length !== place.length) break;
    at += 1;
  }
  if (at === map.ranges.length) return;
  throw new TsbuilderError(
    'TSB_BLOCK_MAP_INVALID',
    `${source.name}: its block map divides it otherwise than its own index, from byte ${map.ranges[at]?.offset ?? 0} on`,
    { hint: 'The repository is inconsistent: tell its publisher.' },
  );
}

function mismatch(
  name: string,
  wrong: { readonly range: MapRange; readonly found: string; readonly block?: number },
): TsbuilderError {
  const { range, found, block = -1 } = wrong;
  const { offset, length, sha256: expected } = range;
  return new TsbuilderError(
    'TSB_CHECKSUM_MISMATCH',
    `${name}: ${labelOf(range, block)} is not what the block map says: SHA-256 expected ${expected}, found ${found}`,
    {
      hint: 'The file is damaged or was changed. Nothing of this part is used.',
      details: { ...(block >= 0 && { block }), offset, length, expected, found },
    },
  );
}

/** @param block number of the block; ignored for an edge */
function labelOf({ kind, offset, length }: MapRange, block: number): string {
  const what = kind === 'block' ? `block ${block}` : 'the header, index or footer of a stream';
  return `${what} (bytes ${offset}-${offset + length - 1})`;
}
