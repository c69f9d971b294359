import { TsbuilderError } from '../errors.js';

// The qcow2 image format, version 3: docs/interop/qcow2.txt of QEMU. All numbers are big-endian.

export const QCOW2_MAGIC = 0x514649fb;
/** Bytes of the header we write: up to and including the compression type, padded to a multiple of 8. */
const HEADER_LENGTH = 112;
/** Incompatible feature bit: the compression type is not zlib. */
export const INCOMPATIBLE_COMPRESSION = 1n << 3n;
/** QEMU refuses images with a larger L1 table. */
export const MAX_L1_ENTRIES = 4 * 1024 * 1024;
export const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;
/** L2 flag of version 3: the cluster reads as zeros, whatever else the entry says. */
const ZERO_FLAG = 1n;
/** Bits 9 to 55: a host offset in an L1 or standard L2 entry. */
export const OFFSET_MASK = 0x00fffffffffffe00n;

export type Qcow2Compression = 'zlib' | 'zstd';

/** Where a guest cluster is in the file. */
export type Mapping =
  | { readonly kind: 'none' }
  | { readonly kind: 'plain'; readonly offset: number }
  /** `length` counts whole 512-byte sectors: the compressed data may end earlier. */
  | { readonly kind: 'packed'; readonly offset: number; readonly length: number };

/** Sizes that follow from the cluster size. */
export interface Geometry {
  readonly clusterSize: number;
  readonly clusterBits: number;
  /** Virtual size in bytes: the disk's, rounded up to whole sectors. */
  readonly virtualSize: number;
  readonly l2Entries: number;
  readonly l1Entries: number;
}

/**
 * The geometry of a disk of `size` bytes.
 *
 * @throws TSB_USAGE when the cluster size is not a power of two from 512 to 2 MiB, or too small for such a disk
 */
export function planGeometry(size: number, clusterSize: number): Geometry {
  const clusterBits = Math.log2(clusterSize);
  if (!Number.isInteger(clusterBits) || clusterBits < 9 || clusterBits > 21) {
    throw new TsbuilderError(
      'TSB_USAGE',
      `cluster size ${clusterSize}: must be a power of two from 512 to 2M`,
    );
  }
  const virtualSize = Math.ceil(size / 512) * 512;
  const l2Entries = clusterSize / 8;
  const l1Entries = Math.max(1, Math.ceil(virtualSize / (clusterSize * l2Entries)));
  if (l1Entries > MAX_L1_ENTRIES) {
    throw new TsbuilderError(
      'TSB_USAGE',
      `a disk of ${size} bytes is too large for a qcow2 cluster size of ${clusterSize}`,
      {
        hint: `The limit is ${MAX_L1_ENTRIES * l2Entries * clusterSize} bytes. Choose a larger cluster size.`,
      },
    );
  }
  return { clusterSize, clusterBits, virtualSize, l2Entries, l1Entries };
}

/** The L2 entry of a mapping. */
export function encodeMapping(mapping: Mapping, clusterBits: number): bigint {
  if (mapping.kind === 'none') return 0n;
  if (mapping.kind === 'plain') return BigInt(mapping.offset) | COPIED;
  const sectors = Math.floor((mapping.offset + mapping.length - 1) / 512) - Math.floor(mapping.offset / 512);
  return COMPRESSED | (BigInt(sectors) << packedShift(clusterBits)) | BigInt(mapping.offset);
}

/** The mapping of an L2 entry (standard entries, no subclusters). */
export function decodeMapping(entry: bigint, clusterBits: number): Mapping {
  if (entry & COMPRESSED) {
    const shift = packedShift(clusterBits);
    const offset = Number(entry & ((1n << shift) - 1n));
    const sectors = Number((entry & (COMPRESSED - 1n)) >> shift);
    return { kind: 'packed', offset, length: (sectors + 1) * 512 - (offset % 512) };
  }
  const offset = Number(entry & OFFSET_MASK);
  return offset === 0 || entry & ZERO_FLAG ? { kind: 'none' } : { kind: 'plain', offset };
}

/** What the L2 entry of an image over another one says of its cluster: nothing, that it reads as zeros, or that it was written. */
export function overlayState(entry: bigint): 'below' | 'zero' | 'written' {
  if (entry & COMPRESSED) return 'written';
  if (entry & ZERO_FLAG) return 'zero';
  return (entry & OFFSET_MASK) === 0n ? 'below' : 'written';
}

/** First bit of the sector count in a compressed cluster's entry. */
function packedShift(clusterBits: number): bigint {
  return BigInt(62 - (clusterBits - 8));
}

/** Where the tables of a finished image are. Offsets in bytes. */
export interface TablePlaces {
  readonly l1Offset: number;
  readonly refcountOffset: number;
  readonly refcountClusters: number;
}

/** The header of an image without backing file or snapshots, with 16-bit reference counts. */
export function encodeHeader(geometry: Geometry, places: TablePlaces, compression: Qcow2Compression): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH + 8);
  header.writeUInt32BE(QCOW2_MAGIC, 0);
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(geometry.clusterBits, 20);
  header.writeBigUInt64BE(BigInt(geometry.virtualSize), 24);
  header.writeUInt32BE(geometry.l1Entries, 36);
  header.writeBigUInt64BE(BigInt(places.l1Offset), 40);
  header.writeBigUInt64BE(BigInt(places.refcountOffset), 48);
  header.writeUInt32BE(places.refcountClusters, 56);
  header.writeBigUInt64BE(compression === 'zstd' ? INCOMPATIBLE_COMPRESSION : 0n, 72);
  header.writeUInt32BE(4, 96);
  header.writeUInt32BE(HEADER_LENGTH, 100);
  header.writeUInt8(compression === 'zstd' ? 1 : 0, 104);
  return header;
}
