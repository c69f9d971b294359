import { BLOCK, BadHeader, type TarHeader, readNumber } from './header.js';
import { type PaxRecords, paxNumber } from './pax.js';

/** Bytes of a file that are stored; what lies between is zero. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

/** What is stored of a file with holes. */
export interface SparseMap {
  readonly size: number;
  readonly segments: readonly Segment[];
  /** Where the stored bytes begin in the archive. */
  readonly dataAt: number;
}

/** More than that takes longer to write out than anyone means to wait for zeros. */
const MAX_SIZE = 64 * 1024 ** 3;
const MAX_SEGMENTS = 1_000_000;

type ReadBlock = (offset: number) => Promise<Buffer>;

/**
 * The map of a file in GNU's old format for files with holes: four pairs in the header, then blocks of 21 (GNU tar manual,
 * "Old GNU Format").
 *
 * @throws BadHeader
 */
export async function readOldSparse(header: TarHeader, at: number, read: ReadBlock): Promise<SparseMap> {
  const segments = readPairs(header.raw, 386, 4);
  let dataAt = at;
  let more = header.raw[482] !== 0;
  while (more) {
    const block = await read(dataAt);
    segments.push(...readPairs(block, 0, 21));
    if (segments.length > MAX_SEGMENTS) throw new BadHeader('a file with too many holes');
    more = block[504] !== 0;
    dataAt += BLOCK;
  }
  return { size: readNumber(header.raw, 483, 12), segments, dataAt };
}

function readPairs(block: Buffer, start: number, count: number): Segment[] {
  const segments: Segment[] = [];
  for (let at = start; at < start + count * 24; at += 24) {
    if (block[at] === 0) break;
    segments.push({ offset: readNumber(block, at, 12), length: readNumber(block, at + 12, 12) });
  }
  return segments;
}

/**
 * The map of a file with holes in an extended header, formats 0.1 and 1.0 (GNU tar manual, "PAX Format, Versions 0.0 and
 * 0.1", "PAX Format, Version 1.0"); undefined when it has none.
 *
 * @throws BadHeader
 */
export async function readPaxSparse(
  records: PaxRecords,
  at: number,
  read: ReadBlock,
): Promise<SparseMap | undefined> {
  if (paxNumber(records, 'GNU.sparse.major') === 1) {
    const { numbers, end } = await readMapBlocks(at, read);
    return { size: paxNumber(records, 'GNU.sparse.realsize') ?? -1, segments: pairs(numbers), dataAt: end };
  }
  const map = records.get('GNU.sparse.map');
  if (map) {
    const size = paxNumber(records, 'GNU.sparse.size') ?? -1;
    return { size, segments: pairs(map.toString('latin1').split(',').map(toNumber)), dataAt: at };
  }
  if (records.has('GNU.sparse.numblocks'))
    throw new BadHeader('holes in the old pax format 0.0, which is not supported');
  return undefined;
}

/** Numbers one a line, the first of which says how many pairs follow, up to the end of a block. */
async function readMapBlocks(at: number, read: ReadBlock): Promise<{ numbers: number[]; end: number }> {
  let text = '';
  let numbers: number[] = [];
  let wanted = Infinity;
  let end = at;
  for (; numbers.length < wanted; end += BLOCK) {
    text += (await read(end)).toString('latin1');
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    if (text.length > BLOCK) throw new BadHeader('a malformed map of holes');
    for (const line of lines)
      if (numbers.length < wanted) {
        numbers.push(toNumber(line));
        wanted = 1 + (numbers[0] ?? 0) * 2;
      }
    if (wanted > MAX_SEGMENTS * 2) throw new BadHeader('a file with too many holes');
  }
  numbers = numbers.slice(1);
  return { numbers, end };
}

function toNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new BadHeader('a malformed map of holes');
  return Number(text);
}

function pairs(numbers: readonly number[]): Segment[] {
  const segments: Segment[] = [];
  for (let at = 0; at + 1 < numbers.length; at += 2)
    segments.push({ offset: numbers[at] ?? 0, length: numbers[at + 1] ?? 0 });
  return segments;
}

/**
 * Checks that the segments of a map come one after the other inside the file and are all stored.
 *
 * @param stored bytes from `dataAt` on that belong to the file
 * @throws BadHeader
 */
export function checkSparse(map: SparseMap, stored: number): void {
  let end = 0;
  let total = 0;
  for (const { offset, length } of map.segments) {
    if (offset < end || length < 0) throw new BadHeader('a malformed map of holes');
    end = offset + length;
    total += length;
  }
  if (end > map.size || total > stored) throw new BadHeader('a map of holes that does not fit the file');
  if (map.size > MAX_SIZE)
    throw new BadHeader(`a file with holes of ${map.size} bytes, more than ${MAX_SIZE}`);
}
