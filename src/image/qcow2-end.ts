import type { ByteSource } from '../io/byte-source.js';
import { OFFSET_MASK } from './qcow2-format.js';
import type { Qcow2Info } from './qcow2-info.js';

/** QEMU refuses images with a larger table of reference counts. */
const MAX_TABLE = 8 * 1024 * 1024;
/** Blocks of reference counts that are searched from the last one on: those at the end may count nothing. */
const MAX_BLOCKS = 8;

/**
 * How many bytes an image lacks at its end, at least: those from the end of the file to the last cluster that its reference counts count, as far
 * as it begins behind the file. Reads the table of reference counts and mostly one block of them. An image that was written to the end
 * has 0; so has one whose counts are of no help. Clusters that nobody uses may be counted, but QEMU leaves none behind the end.
 *
 * @throws what the source throws
 */
export async function missingAtEnd(
  source: ByteSource,
  info: Qcow2Info,
  signal?: AbortSignal,
): Promise<number> {
  const last = await lastCountedCluster(source, info, signal);
  const offset = (last ?? 0) * info.clusterSize;
  return offset < source.size ? 0 : offset + info.clusterSize - source.size;
}

async function lastCountedCluster(
  source: ByteSource,
  info: Qcow2Info,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const { clusterSize, refcountBits, refcountOffset, refcountClusters } = info;
  const tableSize = refcountClusters * clusterSize;
  if (tableSize === 0 || tableSize > MAX_TABLE || refcountOffset % clusterSize !== 0) return undefined;
  if (refcountOffset + tableSize > source.size) return (refcountOffset + tableSize) / clusterSize - 1;
  const table = Buffer.from(await source.read(refcountOffset, tableSize, signal));
  const perBlock = (clusterSize * 8) / refcountBits;
  for (let index = table.length / 8 - 1, left = MAX_BLOCKS; index >= 0 && left > 0; index -= 1) {
    const offset = Number(table.readBigUInt64BE(index * 8) & OFFSET_MASK);
    if (offset === 0) continue;
    left -= 1;
    if (offset + clusterSize > source.size) return offset / clusterSize;
    const last = lastCounted(await source.read(offset, clusterSize, signal), refcountBits);
    if (last !== undefined) return index * perBlock + last;
  }
  return undefined;
}

/** The last count of a block that is not 0. Counts narrower than a byte begin at its lowest bit. */
function lastCounted(block: Uint8Array, bits: number): number | undefined {
  const byte = block.findLastIndex((value) => value !== 0);
  if (byte < 0) return undefined;
  if (bits >= 8) return Math.floor((byte * 8) / bits);
  return Math.floor((byte * 8 + 31 - Math.clz32(block[byte] ?? 0)) / bits);
}
