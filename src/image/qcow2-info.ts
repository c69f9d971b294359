import { TsbuilderError } from '../errors.js';
import type { ByteSource } from '../io/byte-source.js';
import {
  INCOMPATIBLE_COMPRESSION,
  MAX_L1_ENTRIES,
  QCOW2_MAGIC,
  type Qcow2Compression,
} from './qcow2-format.js';

const MAX_HEADER = 112;
const MAX_BACKING_NAME = 1023;
/** The autoclear feature that says that the bitmaps in the image are up to date. */
const AUTOCLEAR_BITMAPS = 1n;
const INCOMPATIBLE = { dirty: 1n, corrupt: 2n, externalData: 4n, extendedL2: 16n } as const;

/** What a qcow2 header says. Sizes and offsets in bytes. */
export interface Qcow2Info {
  readonly version: 2 | 3;
  readonly virtualSize: number;
  readonly clusterSize: number;
  readonly clusterBits: number;
  /** Type of the compressed clusters, if there are any. */
  readonly compression: Qcow2Compression;
  /** Name of the image below this one, as written there: never open it unasked. */
  readonly backingFile: string | undefined;
  readonly encrypted: boolean;
  readonly snapshots: number;
  /** There are bitmaps in it that say what changed since a backup. */
  readonly bitmaps: boolean;
  /** The data is in another file. */
  readonly externalData: boolean;
  /** Clusters are divided into subclusters. */
  readonly extendedL2: boolean;
  /** The writer was interrupted: reference counts may be wrong. */
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly l1Offset: number;
  readonly l1Entries: number;
  /** The table of reference counts, and how wide each count is. */
  readonly refcountOffset: number;
  readonly refcountClusters: number;
  readonly refcountBits: number;
}

/** Whether a file that begins with `head` (4 bytes are enough) is a qcow2 image. */
export function isQcow2(head: Uint8Array): boolean {
  return head.length >= 4 && Buffer.from(head.buffer, head.byteOffset, 4).readUInt32BE() === QCOW2_MAGIC;
}

/**
 * Reads and checks the header of a qcow2 image, versions 2 and 3 (docs/interop/qcow2.txt of QEMU).
 *
 * @throws TSB_IMAGE_INVALID when it is not one, contradicts itself, or uses features unknown here
 */
export async function readQcow2Info(source: ByteSource, signal?: AbortSignal): Promise<Qcow2Info> {
  const header = Buffer.alloc(MAX_HEADER);
  header.set(await source.read(0, Math.min(MAX_HEADER, source.size), signal));
  if (!isQcow2(header) || source.size < 72) throw invalid(source, 'is not a qcow2 image');
  const version = header.readUInt32BE(4);
  if (version !== 2 && version !== 3)
    throw invalid(source, `has qcow2 version ${version}; 2 and 3 are known`);
  const clusterBits = header.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21)
    throw invalid(source, `has clusters of 2^${clusterBits} bytes; 2^9 to 2^21 are allowed`);
  const info: Qcow2Info = {
    version,
    virtualSize: safeNumber(source, header.readBigUInt64BE(24), 'virtual size'),
    clusterSize: 2 ** clusterBits,
    clusterBits,
    backingFile: await readBackingFile(source, header, signal),
    encrypted: header.readUInt32BE(32) !== 0,
    snapshots: header.readUInt32BE(60),
    bitmaps: version === 3 && (header.readBigUInt64BE(88) & AUTOCLEAR_BITMAPS) !== 0n,
    l1Offset: safeNumber(source, header.readBigUInt64BE(40), 'L1 table offset'),
    l1Entries: header.readUInt32BE(36),
    refcountOffset: safeNumber(source, header.readBigUInt64BE(48), 'refcount table offset'),
    refcountClusters: header.readUInt32BE(56),
    refcountBits: parseRefcountBits(source, header, version),
    ...parseFeatures(source, header, version),
  };
  assertTable(source, info);
  return info;
}

type Features = Pick<Qcow2Info, 'compression' | 'externalData' | 'extendedL2' | 'dirty' | 'corrupt'>;

function parseFeatures(source: ByteSource, header: Buffer, version: number): Features {
  const bits = version === 3 ? header.readBigUInt64BE(72) : 0n;
  const known = Object.values(INCOMPATIBLE).reduce((all, bit) => all | bit, INCOMPATIBLE_COMPRESSION);
  if (bits & ~known) throw invalid(source, `uses unknown qcow2 features (${(bits & ~known).toString(16)})`);
  return {
    dirty: (bits & INCOMPATIBLE.dirty) !== 0n,
    corrupt: (bits & INCOMPATIBLE.corrupt) !== 0n,
    externalData: (bits & INCOMPATIBLE.externalData) !== 0n,
    extendedL2: (bits & INCOMPATIBLE.extendedL2) !== 0n,
    compression: bits & INCOMPATIBLE_COMPRESSION ? parseCompression(source, header) : 'zlib',
  };
}

function parseCompression(source: ByteSource, header: Buffer): Qcow2Compression {
  const type = header.readUInt32BE(100) > 104 ? header.readUInt8(104) : 0;
  if (type !== 1) throw invalid(source, `has compression type ${type}; zlib (0) and zstd (1) are known`);
  return 'zstd';
}

function parseRefcountBits(source: ByteSource, header: Buffer, version: 2 | 3): number {
  const order = version === 3 ? header.readUInt32BE(96) : 4;
  if (order > 6) throw invalid(source, `has reference counts of 2^${order} bits; up to 2^6 are allowed`);
  return 2 ** order;
}

async function readBackingFile(
  source: ByteSource,
  header: Buffer,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const offset = safeNumber(source, header.readBigUInt64BE(8), 'backing file offset');
  const length = header.readUInt32BE(16);
  if (offset === 0) return undefined;
  if (length > MAX_BACKING_NAME || offset + length > source.size)
    throw invalid(source, `has a backing file name of ${length} bytes at ${offset}`);
  return Buffer.from(await source.read(offset, length, signal)).toString();
}

function assertTable(source: ByteSource, info: Qcow2Info): void {
  const { l1Entries, l1Offset, virtualSize, clusterSize } = info;
  const needed = Math.ceil(virtualSize / (clusterSize * (clusterSize / (info.extendedL2 ? 16 : 8))));
  if (l1Entries > MAX_L1_ENTRIES || l1Entries < needed)
    throw invalid(
      source,
      `has ${l1Entries} L1 entries; its size needs ${needed}, at most ${MAX_L1_ENTRIES} are allowed`,
    );
  if (l1Offset % clusterSize !== 0 || l1Offset + l1Entries * 8 > source.size)
    throw invalid(source, `has its L1 table at ${l1Offset}, which is not a place in this file`);
}

function safeNumber(source: ByteSource, value: bigint, what: string): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw invalid(source, `has an impossible ${what} (${value.toString()})`);
}

function invalid(source: ByteSource, problem: string): TsbuilderError {
  return new TsbuilderError('TSB_IMAGE_INVALID', `${source.name}: ${problem}`);
}
