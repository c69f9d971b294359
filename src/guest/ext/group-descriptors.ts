import { crc16, crc32c } from './checksum.js';
import { descriptorPlace } from './inode.js';
import { type ExtVolume, corrupt } from './volume.js';

/** One block group: where its bitmap and its other structures are, and what its descriptor says of it. Block numbers. */
export interface BlockGroup {
  readonly number: number;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** Blocks, or (bigalloc) clusters. */
  readonly freeClusters: number;
  /** The bitmap was never written: nothing but the filesystem's own structures is in the group. */
  readonly uninitialized: boolean;
  /** Checksum of the block bitmap, and how many bits of it are known. */
  readonly bitmapChecksum: number;
  readonly bitmapChecksumBits: 16 | 32;
}

const RO_GDT_CSUM = 0x10;
const RO_METADATA_CSUM = 0x400;
const INCOMPAT_CSUM_SEED = 0x2000;
const BLOCK_UNINIT = 0x2;
const CHECKSUM_AT = 30;
/** 128 TiB with blocks of 4 KiB. */
const MAX_GROUPS = 1024 * 1024;
/** mke2fs makes none smaller. */
const MIN_BLOCKS_PER_GROUP = 256;

/** How checksums are made in one filesystem. */
export interface ExtChecksums {
  readonly kind: 'crc32c' | 'crc16' | 'none';
  readonly seed: number;
}

/**
 * The kind of checksums of the filesystem whose superblock `raw` (1024 bytes) is.
 *
 * @throws TSB_FILESYSTEM when the superblock's own is wrong, or of a kind that is not known
 */
export function checksumsOf(volume: ExtVolume, raw: Buffer): ExtChecksums {
  const { roCompat, incompat } = volume.super;
  if ((roCompat & RO_METADATA_CSUM) === 0) {
    if ((roCompat & RO_GDT_CSUM) === 0) return { kind: 'none', seed: 0 };
    return { kind: 'crc16', seed: crc16(0xffff, raw.subarray(104, 120)) };
  }
  if (raw.readUInt8(373) !== 1) throw corrupt(volume, `checksums of type ${raw.readUInt8(373)}`);
  if (crc32c(0xffffffff, raw.subarray(0, 1020)) !== raw.readUInt32LE(1020))
    throw corrupt(volume, 'wrong checksum of the superblock');
  const own = (incompat & INCOMPAT_CSUM_SEED) !== 0;
  return {
    kind: 'crc32c',
    seed: own ? raw.readUInt32LE(624) : crc32c(0xffffffff, raw.subarray(104, 120)),
  };
}

/**
 * Reads the descriptors of all block groups (kernel documentation, "Block Group Descriptors"), in order.
 *
 * @throws TSB_FILESYSTEM when a checksum is wrong or their number makes no sense
 */
export async function readGroups(volume: ExtVolume, checksums: ExtChecksums): Promise<BlockGroup[]> {
  const { blockSize, descriptorSize } = volume.super;
  const count = countGroups(volume);
  const perBlock = blockSize / descriptorSize;
  const groups: BlockGroup[] = [];
  for (let first = 0; first < count; first += perBlock) {
    volume.signal?.throwIfAborted();
    const number = Math.min(perBlock, count - first);
    const at = descriptorPlace(volume, first);
    const data = await volume.source.read(at, number * descriptorSize, volume.signal);
    const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    for (let index = 0; index < number; index += 1) {
      const descriptor = raw.subarray(index * descriptorSize, (index + 1) * descriptorSize);
      groups.push(parseGroup(volume, checksums, { number: first + index, descriptor }));
    }
  }
  return groups;
}

function countGroups(volume: ExtVolume): number {
  const { blockCount, blocksPerGroup, firstDataBlock, inodeCount, inodesPerGroup } = volume.super;
  const count = Math.ceil((blockCount - firstDataBlock) / blocksPerGroup);
  const sensible = blocksPerGroup >= MIN_BLOCKS_PER_GROUP && count > 0 && count <= MAX_GROUPS;
  if (sensible && count * inodesPerGroup === inodeCount) return count;
  throw corrupt(volume, `${count} groups of ${blocksPerGroup} blocks with ${inodeCount} inodes`);
}

function parseGroup(
  volume: ExtVolume,
  checksums: ExtChecksums,
  { number, descriptor }: { number: number; descriptor: Buffer },
): BlockGroup {
  assertChecksum(volume, checksums, { number, descriptor });
  const large = descriptor.length >= 64;
  const block = (low: number, high: number): number =>
    descriptor.readUInt32LE(low) + (large ? descriptor.readUInt32LE(high) * 2 ** 32 : 0);
  const half = (low: number, high: number): number =>
    descriptor.readUInt16LE(low) + (large ? descriptor.readUInt16LE(high) * 2 ** 16 : 0);
  return {
    number,
    blockBitmap: block(0, 32),
    inodeBitmap: block(4, 36),
    inodeTable: block(8, 40),
    freeClusters: half(12, 44),
    // Without checksums the flag has no meaning, and the kernel ignores it.
    uninitialized: checksums.kind !== 'none' && (descriptor.readUInt16LE(18) & BLOCK_UNINIT) !== 0,
    bitmapChecksum: half(24, 56),
    bitmapChecksumBits: large ? 32 : 16,
  };
}

function assertChecksum(
  volume: ExtVolume,
  { kind, seed }: ExtChecksums,
  { number, descriptor }: { number: number; descriptor: Buffer },
): void {
  if (kind === 'none') return;
  const index = Buffer.alloc(4);
  index.writeUInt32LE(number);
  const behind = descriptor.subarray(CHECKSUM_AT + 2);
  // crc32c takes the field itself as zeros, crc16 leaves it out.
  const parts =
    kind === 'crc16'
      ? [index, descriptor.subarray(0, CHECKSUM_AT), behind]
      : [index, descriptor.subarray(0, CHECKSUM_AT), Buffer.alloc(2), behind];
  const value = parts.reduce((state, part) => (kind === 'crc16' ? crc16 : crc32c)(state, part), seed);
  if ((value & 0xffff) === descriptor.readUInt16LE(CHECKSUM_AT)) return;
  throw corrupt(volume, `wrong checksum of the descriptor of group ${number}`);
}
