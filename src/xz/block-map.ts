import { TsbuilderError } from '../errors.js';

/** A stretch of an xz file and the checksum of its bytes. */
export interface MapRange {
  /** `block`: one block with its padding. `edge`: everything between blocks (stream headers, indexes, footers, stream padding). */
  readonly kind: 'edge' | 'block';
  readonly offset: number;
  readonly length: number;
  /** SHA-256 in lower-case hex. */
  readonly sha256: string;
}

/** The checksums of all bytes of an xz file, block by block: the ranges tile it (docs/block-map.md). */
export interface BlockMap {
  /** Length of the file in bytes. */
  readonly size: number;
  /** SHA-512 of the file in lower-case hex. */
  readonly sha512: string;
  readonly ranges: readonly MapRange[];
}

/** The largest block map that is read, in bytes: enough for 200,000 blocks. */
export const MAX_BLOCK_MAP_BYTES = 16 * 1024 * 1024;

const TITLE = 'tsbuilder block map 1';
const NUMBER = '([1-9][0-9]{0,15})';
const SIZE_LINE = new RegExp(`^size ${NUMBER}$`);
const SHA512_LINE = /^sha512 ([0-9a-f]{128})$/;
const RANGE_LINE = new RegExp(`^(edge|block) ${NUMBER} ([0-9a-f]{64})$`);
/** Shorter than any stream header with a footer, or any block: what is shorter is no part of an xz file. */
const SMALLEST = { edge: 12, block: 8 } as const;

/** The text of a block map. A map has only this one text, and only this text is read as that map. */
export function formatBlockMap(map: BlockMap): string {
  const lines = map.ranges.map(({ kind, length, sha256 }) => `${kind} ${length} ${sha256}`);
  return [TITLE, `size ${map.size}`, `sha512 ${map.sha512}`, ...lines, ''].join('\n');
}

/**
 * Reads the text of a block map. `name` is its path or URL, for messages.
 *
 * @throws TSB_BLOCK_MAP_INVALID, with the line, for anything that `formatBlockMap` does not write
 */
export function parseBlockMap(data: Uint8Array, name: string): BlockMap {
  if (data.length > MAX_BLOCK_MAP_BYTES)
    throw invalid(name, 1, `it has ${data.length} bytes, at most ${MAX_BLOCK_MAP_BYTES} are read`);
  const lines = Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1').split('\n');
  if (lines[0] !== TITLE) throw wrongTitle(name, lines[0] ?? '');
  const size = toSize(SIZE_LINE.exec(lines[1] ?? '')?.[1]);
  if (size === undefined) throw invalid(name, 2, 'must be "size" and a number of bytes');
  const sha512 = SHA512_LINE.exec(lines[2] ?? '')?.[1];
  if (sha512 === undefined) throw invalid(name, 3, 'must be "sha512" and 128 hex digits');
  if (lines.pop() !== '') throw invalid(name, lines.length + 1, 'the last line has no newline');
  const ranges = parseRanges(name, lines, size);
  return { size, sha512, ranges };
}

/** Lines of the text in front of the first range. */
const HEAD_LINES = 3;

function parseRanges(name: string, lines: readonly string[], size: number): MapRange[] {
  const ranges: MapRange[] = [];
  let offset = 0;
  for (let at = HEAD_LINES; at < lines.length; at += 1) {
    const range = parseRange(lines[at] ?? '', offset);
    if (range === undefined)
      throw invalid(name, at + 1, 'must be "edge" or "block", a length and 64 hex digits');
    if (range.length % 4 !== 0 || range.length < SMALLEST[range.kind])
      throw invalid(name, at + 1, `no ${range.kind} of an xz file has ${range.length} bytes`);
    if (range.kind === 'edge' && ranges.at(-1)?.kind === 'edge')
      throw invalid(name, at + 1, 'two edges follow each other');
    ranges.push(range);
    offset += range.length;
    if (offset > size) throw invalid(name, at + 1, `the ranges go beyond the ${size} bytes of the file`);
  }
  if (offset !== size)
    throw invalid(name, lines.length, `the ranges have ${offset} of the ${size} bytes of the file`);
  if (ranges[0]?.kind !== 'edge' || ranges.at(-1)?.kind !== 'edge')
    throw invalid(name, lines.length, 'an xz file begins and ends with an edge');
  return ranges;
}

function parseRange(line: string, offset: number): MapRange | undefined {
  const match = RANGE_LINE.exec(line);
  const length = toSize(match?.[2]);
  const sha256 = match?.[3];
  if (length === undefined || sha256 === undefined) return undefined;
  return { kind: match?.[1] === 'block' ? 'block' : 'edge', offset, length, sha256 };
}

function toSize(text: string | undefined): number | undefined {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

function wrongTitle(name: string, title: string): TsbuilderError {
  const version = /^tsbuilder block map ([0-9]{1,9})$/.exec(title)?.[1];
  if (version === undefined) return invalid(name, 1, `must be "${TITLE}"`);
  return new TsbuilderError(
    'TSB_BLOCK_MAP_INVALID',
    `${name}: is a block map of version ${version}; version 1 is known here`,
    { hint: 'A newer tsbuilder may read it.' },
  );
}

function invalid(name: string, line: number, problem: string): TsbuilderError {
  return new TsbuilderError(
    'TSB_BLOCK_MAP_INVALID',
    `${name}: no usable block map: line ${line}: ${problem}`,
    {
      hint: 'The repository is inconsistent: tell its publisher.',
      details: { line },
    },
  );
}
