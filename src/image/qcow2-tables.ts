import { writeError } from '../io/free-space.js';
import { COPIED, type Qcow2Compression, encodeHeader } from './qcow2-format.js';
import type { Qcow2File } from './qcow2-file.js';
import { type WriteTarget, writeFully } from './write-fully.js';

const BATCH = 1024 * 1024;

/**
 * Completes an image: L2 tables, L1 table, reference counts and, last, the header.
 *
 * @throws as `writeFully`
 */
export async function writeTables(file: Qcow2File, compression: Qcow2Compression): Promise<void> {
  const l1 = await writeL2Tables(file);
  const l1Offset = file.allocator.clusters(Math.ceil(l1.length / file.geometry.clusterSize));
  await writeFully(file.target, l1Offset, l1);
  const refcounts = await writeRefcounts(file);
  await setLength(file.target, file.allocator.end);
  const header = encodeHeader(file.geometry, { l1Offset, ...refcounts }, compression);
  await writeFully(file.target, 0, header);
}

/** Writes the L2 tables that have entries and returns the L1 table that points to them. */
async function writeL2Tables({ target, geometry, map, allocator }: Qcow2File): Promise<Buffer> {
  const l1 = Buffer.alloc(geometry.l1Entries * 8);
  const appender = createAppender(target, allocator.end);
  for (const { index, table } of map.tables(geometry.l2Entries)) {
    l1.writeBigUInt64BE(BigInt(allocator.clusters(1)) | COPIED, index * 8);
    await appender.append(table);
  }
  await appender.flush();
  return l1;
}

/** The reference counts count themselves too: their place is taken before they are written. */
async function writeRefcounts({ target, geometry, allocator }: Qcow2File): Promise<{
  refcountOffset: number;
  refcountClusters: number;
}> {
  const { clusterSize } = geometry;
  const perBlock = clusterSize / 2;
  const { blocks, tableClusters } = planRefcounts(allocator.end / clusterSize, clusterSize);
  const blocksOffset = allocator.clusters(blocks);
  const tableOffset = allocator.clusters(tableClusters);
  const table = Buffer.alloc(tableClusters * clusterSize);
  const appender = createAppender(target, blocksOffset);
  for (let block = 0; block < blocks; block += 1) {
    table.writeBigUInt64BE(BigInt(blocksOffset + block * clusterSize), block * 8);
    await appender.append(allocator.encodeCounts(block * perBlock, (block + 1) * perBlock));
  }
  await appender.append(table);
  await appender.flush();
  return { refcountOffset: tableOffset, refcountClusters: tableClusters };
}

/** How many refcount blocks and table clusters `used` clusters need, those of the counts themselves included. */
function planRefcounts(used: number, clusterSize: number): { blocks: number; tableClusters: number } {
  let blocks = 0;
  let tableClusters = 0;
  for (;;) {
    const needed = Math.ceil((used + blocks + tableClusters) / (clusterSize / 2));
    if (needed === blocks) return { blocks, tableClusters };
    blocks = needed;
    tableClusters = Math.ceil((blocks * 8) / clusterSize);
  }
}

interface Appender {
  append(data: Uint8Array): Promise<void>;
  flush(): Promise<void>;
}

/** Writes pieces that follow each other from `offset` on, many small ones in one call. */
function createAppender(target: WriteTarget, offset: number): Appender {
  let pieces: Uint8Array[] = [];
  let length = 0;
  const flush = async (): Promise<void> => {
    const data = Buffer.concat(pieces);
    pieces = [];
    length = 0;
    await writeFully(target, offset, data);
    offset += data.length;
  };
  return {
    async append(data) {
      pieces.push(data);
      length += data.length;
      if (length >= BATCH) await flush();
    },
    flush,
  };
}

async function setLength(target: WriteTarget, length: number): Promise<void> {
  await target.handle.truncate(length).catch((error: unknown) => {
    throw writeError(target.path, error);
  });
}
