import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import { type Mapping, OFFSET_MASK, decodeMapping } from './qcow2-format.js';
import type { Qcow2Info } from './qcow2-info.js';

const CACHE_BYTES = 16 * 1024 * 1024;

/** Finds guest clusters in an image. Tables are read when needed; at most 16 MiB of them are kept. */
export interface Qcow2Lookup {
  /** Guest clusters that one L2 table describes. */
  readonly tableClusters: number;
  /** Where the cluster's data is. Rejects with TSB_IMAGE_INVALID when the tables point outside the file. */
  find(cluster: number, signal?: AbortSignal): Promise<Mapping>;
  /** Whether the L1 table has an L2 table at `index`. Without one, none of its clusters has data. */
  hasTable(index: number): boolean;
}

/**
 * Reads the L1 table (32 MiB at most) of an image.
 *
 * @throws TSB_IMAGE_INVALID when the image cannot be read from this one file: backing file, external data, encryption or
 *   subclusters
 */
export async function openQcow2Lookup(
  source: ByteSource,
  info: Qcow2Info,
  signal?: AbortSignal,
): Promise<Qcow2Lookup> {
  assertSelfContained(source, info);
  const l1 = Buffer.from(await source.read(info.l1Offset, info.l1Entries * 8, signal));
  const tableClusters = info.clusterSize / 8;
  const tables = new Map<number, Promise<Buffer>>();
  const maxTables = Math.max(2, CACHE_BYTES / info.clusterSize);
  const tableOffset = (index: number): number =>
    Number((index < info.l1Entries ? l1.readBigUInt64BE(index * 8) : 0n) & OFFSET_MASK);
  const loadTable = (index: number, readSignal: AbortSignal | undefined): Promise<Buffer> => {
    const known = tables.get(index);
    if (known) return known;
    const table = readCluster(source, {
      offset: tableOffset(index),
      length: info.clusterSize,
      signal: readSignal,
    });
    // A table that could not be read (an abort, a network error) may be asked for again.
    table.catch(() => tables.delete(index));
    tables.set(index, table);
    if (tables.size > maxTables) tables.delete(tables.keys().next().value ?? -1);
    return table;
  };
  return {
    tableClusters,
    hasTable: (index) => tableOffset(index) !== 0,
    async find(cluster, readSignal) {
      const index = Math.floor(cluster / tableClusters);
      if (tableOffset(index) === 0) return { kind: 'none' };
      const entry = (await loadTable(index, readSignal)).readBigUInt64BE((cluster % tableClusters) * 8);
      return checked(source, info, decodeMapping(entry, info.clusterBits));
    },
  };
}

function assertSelfContained(source: ByteSource, info: Qcow2Info): void {
  const problems = {
    'has a backing file': info.backingFile !== undefined,
    'keeps its data in another file': info.externalData,
    'is encrypted': info.encrypted,
    'uses subclusters (extended L2 entries)': info.extendedL2,
    'is marked as corrupt': info.corrupt,
  };
  const problem = Object.entries(problems).find(([, applies]) => applies)?.[0];
  if (problem === undefined) return;
  throw new TsbuilderError('TSB_IMAGE_INVALID', `${source.name}: ${problem}, which cannot be read here`, {
    hint: 'If you trust the image, QEMU reads it: qemu-img convert -O raw makes a plain one; qemu-nbd or qemu-storage-daemon serve it.',
  });
}

/** Data must be inside the file; the last sector of a compressed cluster may be cut off by its end. */
function checked(source: ByteSource, info: Qcow2Info, mapping: Mapping): Mapping {
  if (mapping.kind === 'none') return mapping;
  if (mapping.kind === 'plain') {
    if (mapping.offset % info.clusterSize !== 0) throw crooked(source, mapping.offset);
    if (mapping.offset >= source.size) throw outsideFile(source, mapping.offset);
    return mapping;
  }
  if (mapping.offset >= source.size) throw outsideFile(source, mapping.offset);
  return { ...mapping, length: Math.min(mapping.length, source.size - mapping.offset) };
}

async function readCluster(
  source: ByteSource,
  range: { offset: number; length: number; signal: AbortSignal | undefined },
): Promise<Buffer> {
  if (range.offset + range.length > source.size) throw outsideFile(source, range.offset);
  return Buffer.from(await source.read(range.offset, range.length, range.signal));
}

/** For tables that tell of a place which the file does not have. */
export function outsideFile({ name, size }: ByteSource, offset: number): TsbuilderError {
  return new TsbuilderError(
    'TSB_IMAGE_INVALID',
    `${name}: its tables tell of data at ${offset}, but the file ends at ${size}: it is cut off or damaged`,
  );
}

function crooked({ name }: ByteSource, offset: number): TsbuilderError {
  return new TsbuilderError(
    'TSB_IMAGE_INVALID',
    `${name}: its tables tell of a cluster at ${offset}, where none can begin`,
  );
}
