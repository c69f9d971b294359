import type { ByteSource } from '../../io/byte-source.js';
import { asBuffer } from '../../probe/bytes.js';
import type { Range } from '../../probe/range.js';
import { type FatLayout, fatError, fatLayout } from './fat-layout.js';
import type { Findings } from './survey-place.js';

/** Bytes of a table read at once: whole entries of 12, 16 and 32 bits. */
const CHUNK = 3 * 256 * 1024;

/**
 * What is free of a FAT12, FAT16 or FAT32 filesystem, by the file allocation table itself: what FSInfo says is only a hint.
 *
 * @throws TSB_FILESYSTEM when it is damaged or was not unmounted cleanly, and when its tables differ
 */
export async function surveyFat(source: ByteSource, signal?: AbortSignal): Promise<Findings> {
  const boot = asBuffer(await source.read(0, 512, signal));
  const layout = fatLayout(boot, source);
  if (layout.dirty) throw fatError(source.name, 'it was not unmounted cleanly');
  const freeRanges: Range[] = [];
  let first = 0;
  /** Where the free clusters before this one begin; 0 when there are none. */
  let run = 0;
  const endRun = (cluster: number): void => {
    if (run > 0) freeRanges.push(clusterRange(layout, run, cluster - run));
    run = 0;
  };
  for await (const chunk of tableChunks(source, layout, signal)) {
    const count = Math.min(Math.floor((chunk.length * 8) / layout.bits), layout.clusters + 2 - first);
    for (let index = 0; index < count; index += 1) {
      const value = entryAt(chunk, index, layout.bits);
      const cluster = first + index;
      if (cluster === 1) assertClean(source, value, layout.bits);
      if (cluster < 2) continue;
      if (value !== 0) endRun(cluster);
      else if (cluster === layout.rootCluster) throw fatError(source.name, 'its root folder is free');
      else run ||= cluster;
    }
    first += count;
  }
  endRun(layout.clusters + 2);
  return { free: freeRanges.reduce((sum, { length }) => sum + length, 0), freeRanges };
}

/** The table in pieces, each compared with its copies. */
async function* tableChunks(
  source: ByteSource,
  { tables, tableSize }: FatLayout,
  signal: AbortSignal | undefined,
): AsyncIterable<Buffer> {
  for (let at = 0; at < tableSize; at += CHUNK) {
    const length = Math.min(CHUNK, tableSize - at);
    const [chunk, ...copies] = await Promise.all(
      tables.map(async (table) => asBuffer(await source.read(table + at, length, signal))),
    );
    if (!chunk || copies.some((copy) => !copy.equals(chunk)))
      throw fatError(source.name, 'its tables differ');
    yield chunk;
  }
}

function entryAt(chunk: Buffer, index: number, bits: FatLayout['bits']): number {
  if (bits === 32) return chunk.readUInt32LE(index * 4) & 0x0fffffff;
  if (bits === 16) return chunk.readUInt16LE(index * 2);
  const pair = chunk.readUInt16LE(Math.floor(index * 1.5));
  return index % 2 === 0 ? pair & 0xfff : pair >> 4;
}

/** The second entry has two bits that are cleared while the filesystem is mounted and after an error of the disk. */
function assertClean(source: ByteSource, value: number, bits: FatLayout['bits']): void {
  if (bits === 12) return;
  const flags = bits === 16 ? 0xc000 : 0x0c000000;
  if ((value & flags) !== flags) throw fatError(source.name, 'it was not unmounted cleanly');
}

function clusterRange({ dataStart, clusterSize }: FatLayout, cluster: number, count: number): Range {
  return { offset: dataStart + (cluster - 2) * clusterSize, length: count * clusterSize };
}
