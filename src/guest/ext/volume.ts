import { TsbuilderError } from '../../errors.js';
import type { ByteSource } from '../../io/byte-source.js';

/** The facts of an ext2/3/4 superblock that reading needs (kernel documentation, "Super Block"). */
export interface ExtSuper {
  readonly blockSize: number;
  readonly blockCount: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  /** How many blocks one bit of a block bitmap stands for. */
  readonly clusterBlocks: number;
  readonly inodesPerGroup: number;
  readonly inodeCount: number;
  readonly inodeSize: number;
  readonly descriptorSize: number;
  /** First group whose descriptors are spread over the disk (meta_bg), or Infinity. */
  readonly firstMetaGroup: number;
  readonly compat: number;
  readonly incompat: number;
  readonly roCompat: number;
  /** The two groups that have a copy of the superblock with `sparse_super2`; 0 is none. */
  readonly backupGroups: readonly number[];
  /** The inode that holds the journal, or 0 when there is none in this filesystem. */
  readonly journalInode: number;
  /** The journal holds writes that are not in place yet. */
  readonly needsRecovery: boolean;
  /** Unmounted cleanly and no errors recorded. */
  readonly clean: boolean;
  /** Thirty-two hexadecimal digits with dashes. */
  readonly uuid: string;
  readonly label: string;
}

/** An ext filesystem being read: its bytes (from its first to its last) and its superblock. */
export interface ExtVolume {
  readonly source: ByteSource;
  readonly super: ExtSuper;
  readonly signal?: AbortSignal | undefined;
}

export const INCOMPAT = {
  recover: 0x4,
  metaBg: 0x10,
  bit64: 0x80,
  multipleMountProtection: 0x100,
  attributeInode: 0x400,
} as const;

/** Incompatible features that this reader understands or that do not matter to it: all but compression, dirdata, journal devices. */
const KNOWN_INCOMPAT =
  0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;

const COMPAT_JOURNAL = 0x4;
const RO_BIGALLOC = 0x200;

const SUPER_OFFSET = 1024;
const MAGIC = 0xef53;

/** An error about the filesystem's own structures. */
export function corrupt(volume: { source: ByteSource }, what: string): TsbuilderError {
  return new TsbuilderError('TSB_FILESYSTEM', `${volume.source.name}: damaged ext filesystem: ${what}`, {
    hint: 'Check the disk with e2fsck.',
  });
}

/** Whether `source` begins with an ext2/3/4 superblock. Looks at two bytes, checks nothing else. */
async function isExt(source: ByteSource, signal?: AbortSignal): Promise<boolean> {
  if (source.size < SUPER_OFFSET + 1024) return false;
  const magic = await source.read(SUPER_OFFSET + 56, 2, signal);
  return Buffer.from(magic).readUInt16LE() === MAGIC;
}

/**
 * Reads and checks the superblock of the filesystem that `source` holds from its first byte.
 *
 * @throws TSB_FILESYSTEM when it is no ext filesystem, is damaged, larger than `source`, or has features that are not known
 */
export async function openExtVolume(source: ByteSource, signal?: AbortSignal): Promise<ExtVolume> {
  if (!(await isExt(source, signal))) {
    throw new TsbuilderError('TSB_FILESYSTEM', `${source.name}: not an ext2, ext3 or ext4 filesystem`);
  }
  const raw = Buffer.from(await source.read(SUPER_OFFSET, 1024, signal));
  const parsed = parseSuper(raw);
  const volume = { source, super: parsed, signal };
  checkSuper(volume, parsed);
  return volume;
}

function parseSuper(raw: Buffer): ExtSuper {
  const incompat = raw.readUInt32LE(96);
  const is64 = (incompat & INCOMPAT.bit64) !== 0;
  const high = (at: number): number => (is64 ? raw.readUInt32LE(at) * 2 ** 32 : 0);
  const roCompat = raw.readUInt32LE(100);
  const dynamic = raw.readUInt32LE(76) >= 1;
  const uuid = raw.toString('hex', 104, 120).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return {
    blockSize: 1024 * 2 ** Math.min(raw.readUInt32LE(24), 20),
    blockCount: raw.readUInt32LE(4) + high(336),
    freeBlocks: raw.readUInt32LE(12) + high(344),
    freeInodes: raw.readUInt32LE(16),
    firstDataBlock: raw.readUInt32LE(20),
    blocksPerGroup: raw.readUInt32LE(32),
    clusterBlocks:
      roCompat & RO_BIGALLOC ? 2 ** Math.min(raw.readUInt32LE(28) - raw.readUInt32LE(24), 20) : 1,
    inodesPerGroup: raw.readUInt32LE(40),
    inodeCount: raw.readUInt32LE(0),
    inodeSize: dynamic ? raw.readUInt16LE(88) : 128,
    descriptorSize: is64 ? raw.readUInt16LE(254) : 32,
    firstMetaGroup: incompat & INCOMPAT.metaBg ? raw.readUInt32LE(260) : Infinity,
    compat: raw.readUInt32LE(92),
    incompat,
    roCompat,
    backupGroups: [raw.readUInt32LE(588), raw.readUInt32LE(592)],
    journalInode: raw.readUInt32LE(92) & COMPAT_JOURNAL ? raw.readUInt32LE(224) : 0,
    needsRecovery: (incompat & INCOMPAT.recover) !== 0,
    clean: (raw.readUInt16LE(58) & 0x3) === 1,
    uuid,
    label: raw.toString('utf8', 120, 136).replace(/\0.*$/s, ''),
  };
}

function checkSuper(volume: { source: ByteSource }, s: ExtSuper): void {
  const unknown = s.incompat & ~KNOWN_INCOMPAT;
  if (unknown !== 0) {
    throw new TsbuilderError(
      'TSB_FILESYSTEM',
      `${volume.source.name}: ext filesystem with unsupported features 0x${unknown.toString(16)}`,
    );
  }
  const bits = s.blockSize * 8;
  if (s.blockSize > 65536) throw corrupt(volume, `block size ${s.blockSize}`);
  if (!powerOfTwo(s.inodeSize) || s.inodeSize < 128 || s.inodeSize > s.blockSize)
    throw corrupt(volume, `inode size ${s.inodeSize}`);
  if (!powerOfTwo(s.descriptorSize) || s.descriptorSize < 32 || s.descriptorSize > 1024)
    throw corrupt(volume, `descriptor size ${s.descriptorSize}`);
  // With bigalloc a group's bitmap counts clusters, so it can have more blocks than bits.
  if (s.blocksPerGroup === 0 || s.blocksPerGroup > bits * 65536)
    throw corrupt(volume, `${s.blocksPerGroup} blocks per group`);
  if (s.inodesPerGroup === 0 || s.inodesPerGroup > bits)
    throw corrupt(volume, `${s.inodesPerGroup} inodes per group`);
  if (s.clusterBlocks < 1) throw corrupt(volume, 'clusters smaller than blocks');
  if (s.firstDataBlock > 1) throw corrupt(volume, `first data block ${s.firstDataBlock}`);
  if (s.blockCount === 0 || s.blockCount * s.blockSize > volume.source.size) {
    throw corrupt(
      volume,
      `${s.blockCount} blocks of ${s.blockSize} bytes do not fit into the ${volume.source.size} bytes of the partition`,
    );
  }
}

function powerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

/**
 * One block of the filesystem.
 *
 * @throws TSB_FILESYSTEM when `block` is not inside it
 */
export async function readBlock(volume: ExtVolume, block: number): Promise<Buffer> {
  return readBlocks(volume, block, 1);
}

/** `count` consecutive blocks of the filesystem; throws as {@link readBlock}. */
export async function readBlocks(volume: ExtVolume, block: number, count: number): Promise<Buffer> {
  const { blockSize, blockCount, firstDataBlock } = volume.super;
  if (!Number.isSafeInteger(block) || block < firstDataBlock || block + count > blockCount) {
    throw corrupt(volume, `reference to block ${block} of ${blockCount}`);
  }
  return Buffer.from(await volume.source.read(block * blockSize, count * blockSize, volume.signal));
}
