import type { ByteSource } from '../io/byte-source.js';
import { type FrameTable, assertFrameCount, buildFrameTable } from './frame-table.js';

// The seekable format: https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md

const FOOTER = 9;
const FOOTER_MAGIC = 0x8f92eab1;
const SKIPPABLE_HEADER = 8;
const TABLE_MAGIC = 0x184d2a5e;
const CHECKSUM_FLAG = 0x80;
/** Descriptor bits that must be zero. */
const RESERVED = 0x7c;
const PIECE = 1024 * 1024;

/** Where a seek table is and how it is laid out. */
interface TableShape {
  /** Of its first entry, in the file. */
  readonly entriesAt: number;
  readonly count: number;
  readonly entrySize: number;
}

/**
 * The frames of a file as the seek table at its end has them. Only the table is read.
 *
 * A table is used only when all its claims can be true: its frames follow each other from the file's first byte to the table, and each
 * has content. Anything else (no table, one of another part of the file, a lie) is left to whoever reads the frames themselves.
 *
 * @returns undefined when there is no table that can be used
 * @throws TSB_ZSTD_LIMIT when it has too many frames, what the source throws
 */
export async function readSeekTable(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<FrameTable | undefined> {
  const shape = await readShape(source, signal);
  if (!shape) return undefined;
  assertFrameCount(source.name, shape.count);
  const table = buildFrameTable(source.name);
  let offset = 0;
  for await (const entries of readEntries(source, shape, signal)) {
    for (let at = 0; at < entries.length; at += shape.entrySize) {
      const [compressedSize, contentSize] = [entries.readUInt32LE(at), entries.readUInt32LE(at + 4)];
      if (compressedSize === 0 || contentSize === 0) return undefined;
      const checksum = shape.entrySize === 12 ? entries.readUInt32LE(at + 8) : undefined;
      table.add({ offset, compressedSize, contentSize, checksum });
      offset += compressedSize;
    }
  }
  return offset === shape.entriesAt - SKIPPABLE_HEADER ? table.finish() : undefined;
}

async function readShape(source: ByteSource, signal?: AbortSignal): Promise<TableShape | undefined> {
  if (source.size < SKIPPABLE_HEADER + FOOTER) return undefined;
  const footer = Buffer.from(await source.read(source.size - FOOTER, FOOTER, signal));
  const descriptor = footer.readUInt8(4);
  if (footer.readUInt32LE(5) !== FOOTER_MAGIC || (descriptor & RESERVED) !== 0) return undefined;
  const count = footer.readUInt32LE(0);
  const entrySize = (descriptor & CHECKSUM_FLAG) === 0 ? 8 : 12;
  const entriesAt = source.size - FOOTER - count * entrySize;
  if (entriesAt < SKIPPABLE_HEADER) return undefined;
  const head = Buffer.from(await source.read(entriesAt - SKIPPABLE_HEADER, SKIPPABLE_HEADER, signal));
  const isTable = head.readUInt32LE(0) === TABLE_MAGIC;
  return isTable && head.readUInt32LE(4) === source.size - entriesAt
    ? { entriesAt, count, entrySize }
    : undefined;
}

/** The entries, whole ones in each piece. */
async function* readEntries(
  source: ByteSource,
  { entriesAt, count, entrySize }: TableShape,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const most = Math.floor(PIECE / entrySize);
  for (let done = 0; done < count; done += most) {
    const length = Math.min(most, count - done) * entrySize;
    yield Buffer.from(await source.read(entriesAt + done * entrySize, length, signal));
  }
}
