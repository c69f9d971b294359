import type { ByteSource } from '../../io/byte-source.js';
import { BLOCK, BadHeader, type TarHeader, hasChecksum, natural, parseHeader } from './header.js';
import { type PaxRecords, paxNumber, readPaxRecords } from './pax.js';
import { type Segment, type SparseMap, checkSparse, readOldSparse, readPaxSparse } from './sparse.js';
import { tarError } from './tar-error.js';

/** What a member of an archive is. */
export type TarType = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/** A member of an archive; nothing in it has been judged yet. */
export interface TarEntry {
  readonly type: TarType;
  readonly path: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly device: { readonly major: number; readonly minor: number };
  /** Extended header records, those for extended attributes among them. */
  readonly records: ReadonlyMap<string, Buffer>;
  /** Where its header is in the archive, bytes. */
  readonly offset: number;
  /** The content of a file in pieces. */
  content(signal?: AbortSignal): AsyncGenerator<Uint8Array>;
}

const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

/** Names and attributes are short; what is longer would only fill memory. */
const MAX_EXTENSION = 4 * 1024 * 1024;
const PIECE = 1024 * 1024;
const ZEROS = Buffer.alloc(PIECE);

const NO_MEMBER = 'the archive is cut off: a member is announced and missing';

/** How an archive is read. */
export interface TarOptions {
  warn(message: string): void;
  readonly signal?: AbortSignal | undefined;
}

/** What headers before a member say about it. */
interface Extensions {
  readonly global: PaxRecords;
  local: PaxRecords;
  longName?: Buffer | undefined;
  longLink?: Buffer | undefined;
}

/**
 * The members of a tar archive in their order: ustar, pax, GNU and the old format of Unix, with long names, large
 * numbers and holes. Between two members it cannot be seen that an archive was cut off, but for the mark at its end: a missing one is warned of.
 *
 * @throws TSB_USAGE when it is damaged, cut off or has something that is not supported
 */
export async function* readTar(source: ByteSource, options: TarOptions): AsyncGenerator<TarEntry> {
  const { signal } = options;
  const extensions: Extensions = { global: new Map(), local: new Map() };
  if (source.size === 0) throw tarError(source.name, 0, 'not a tar archive: it is empty');
  let extended = false;
  for (let at = 0; at < source.size;) {
    const start = at;
    try {
      if (start === 0) await assertTar(source, signal);
      const raw = await readAt(source, { offset: at, length: BLOCK }, signal);
      const marked = raw.every((byte) => byte === 0);
      if (marked && extended) throw new BadHeader(NO_MEMBER);
      if (marked) return;
      const header = parseHeader(raw);
      at += BLOCK;
      extended = isExtension(header) && header.flag !== 'g';
      if (isExtension(header)) {
        await readExtension(source, { header, at, extensions }, signal);
        at += padded(header.size);
        continue;
      }
      const member = await readMember(source, { header, at, extensions }, signal);
      extensions.local = new Map();
      extensions.longName = extensions.longLink = undefined;
      at = member.end;
      if (member.entry) yield member.entry;
    } catch (error) {
      if (!(error instanceof BadHeader)) throw error;
      throw tarError(source.name, start, error.message);
    }
  }
  if (extended) throw tarError(source.name, source.size, NO_MEMBER);
  options.warn(`${source.name}: has no mark at its end, so it may be cut off; what is in it was unpacked`);
}

/** Tells what is no archive at all from one that is damaged or cut off further on. */
async function assertTar(source: ByteSource, signal?: AbortSignal): Promise<void> {
  if (source.size < BLOCK)
    throw new BadHeader(`not a tar archive: it has ${source.size} bytes, a header has ${BLOCK}`);
  const raw = Buffer.from(await source.read(0, BLOCK, signal));
  if (!raw.every((byte) => byte === 0) && !hasChecksum(raw))
    throw new BadHeader('not a tar archive: it does not begin with a header');
}

const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

async function readAt(source: ByteSource, range: Segment, signal?: AbortSignal): Promise<Buffer> {
  if (range.offset + range.length > source.size) throw new BadHeader('the archive is cut off');
  return Buffer.from(await source.read(range.offset, range.length, signal));
}

const isExtension = (header: TarHeader): boolean => ['x', 'g', 'L', 'K'].includes(header.flag);

interface Place {
  readonly header: TarHeader;
  /** Where what follows the header begins. */
  readonly at: number;
  readonly extensions: Extensions;
}

async function readExtension(source: ByteSource, place: Place, signal?: AbortSignal): Promise<void> {
  const { header, at, extensions } = place;
  if (header.size > MAX_EXTENSION) throw new BadHeader(`an extended header of ${header.size} bytes`);
  const data = await readAt(source, { offset: at, length: header.size }, signal);
  const end = data.indexOf(0);
  const text = end < 0 ? data : data.subarray(0, end);
  if (header.flag === 'L') extensions.longName = text;
  else if (header.flag === 'K') extensions.longLink = text;
  else readPaxRecords(data, header.flag === 'x' ? extensions.local : extensions.global);
}

async function readMember(
  source: ByteSource,
  place: Place,
  signal?: AbortSignal,
): Promise<{ entry: TarEntry | undefined; end: number }> {
  const { header, at, extensions } = place;
  const records = new Map([...extensions.global, ...extensions.local]);
  const stored = header.flag === '1' ? 0 : natural(paxNumber(records, 'size') ?? header.size, 'size');
  const name = records.get('GNU.sparse.name') ?? records.get('path') ?? extensions.longName ?? header.name;
  const map = await storedMap(source, { header, at, records, stored }, signal);
  // The blocks that extend an old map of holes are not counted in the size of what is stored.
  const end = (header.flag === 'S' ? map.dataAt : at) + padded(stored);
  if (end > source.size) throw new BadHeader('the archive is cut off');
  // A volume's label is no file.
  if (header.flag === 'V') return { entry: undefined, end };
  const path = decode(name);
  const entry: TarEntry = {
    type: typeOf(header, path),
    path,
    linkName: decode(records.get('linkpath') ?? extensions.longLink ?? header.linkName),
    mode: header.mode,
    uid: natural(paxNumber(records, 'uid') ?? header.uid, 'owner'),
    gid: natural(paxNumber(records, 'gid') ?? header.gid, 'group'),
    mtime: paxNumber(records, 'mtime') ?? header.mtime,
    device: { major: header.major, minor: header.minor },
    records,
    offset: at - BLOCK,
    content: (contentSignal) => readContent(source, map, contentSignal),
  };
  return { entry, end };
}

function typeOf(header: TarHeader, path: string): TarType {
  const type = TYPES[header.flag];
  if (type === undefined)
    throw new BadHeader(`a member of type ${JSON.stringify(header.flag)}, which is not supported`);
  // Before there was a flag for folders, a slash at the name's end told them.
  return type === 'file' && path.endsWith('/') ? 'directory' : type;
}

async function storedMap(
  source: ByteSource,
  member: { header: TarHeader; at: number; records: PaxRecords; stored: number },
  signal?: AbortSignal,
): Promise<SparseMap> {
  const { header, at, records, stored } = member;
  const read = (offset: number): Promise<Buffer> => readAt(source, { offset, length: BLOCK }, signal);
  const old = header.flag === 'S' ? await readOldSparse(header, at, read) : undefined;
  const map = old ?? (await readPaxSparse(records, at, read));
  if (!map) return { size: stored, segments: [{ offset: 0, length: stored }], dataAt: at };
  checkSparse(map, old ? stored : stored - (map.dataAt - at));
  return map;
}

function decode(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes))
    throw new BadHeader(`a name that is no UTF-8: ${JSON.stringify(text)}`);
  if (text.includes('\0')) throw new BadHeader('a name with a NUL character');
  return text;
}

async function* readContent(
  source: ByteSource,
  map: SparseMap,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let at = map.dataAt;
  let position = 0;
  for (const { offset, length } of [...map.segments, { offset: map.size, length: 0 }]) {
    for (; position < offset; position += Math.min(PIECE, offset - position)) {
      signal?.throwIfAborted();
      yield ZEROS.subarray(0, Math.min(PIECE, offset - position));
    }
    for (let done = 0; done < length; done += PIECE) {
      const piece = await source.read(at + done, Math.min(PIECE, length - done), signal);
      yield piece;
    }
    at += length;
    position += length;
  }
}
