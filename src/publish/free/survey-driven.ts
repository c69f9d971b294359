import type { TrimmedKind } from '../../guest/appliance-trim.js';
import type { ByteSource } from '../../io/byte-source.js';
import { asBuffer, readU64, readU64BE } from '../../probe/bytes.js';
import type { Range } from '../../probe/range.js';
import { isNtfsDirty } from './ntfs-dirty.js';
import type { Findings } from './survey-place.js';

/** What asking a driver needs to know of its filesystem. */
export interface DriverFacts {
  readonly kind: TrimmedKind;
  /** Where the driver may write when it mounts a filesystem that is clean, so that nothing else of it changes. */
  readonly ownWrites: readonly Range[];
}

/** Why filesystems are left while their driver has not been asked. */
const ONLY_ITS_DRIVER =
  'only its driver knows it: sparsify and pack ask it where libguestfs-tools and qemu-utils are installed';

const UNCLEAN = 'it was not unmounted cleanly';

/**
 * What can be told of XFS, btrfs and NTFS without their drivers.
 *
 * @throws TSB_FILESYSTEM when it is damaged
 */
export async function surveyDriven(
  source: ByteSource,
  kind: TrimmedKind,
  signal?: AbortSignal,
): Promise<Findings> {
  const left = ONLY_ITS_DRIVER;
  if (kind === 'xfs') {
    const ownWrites = await xfsWrites(source, signal);
    return { freeRanges: [], left, driver: { kind, ownWrites } };
  }
  if (kind === 'btrfs') {
    if (await hasBtrfsLog(source, signal)) return { freeRanges: [], left: UNCLEAN };
    return { freeRanges: [], left, driver: { kind, ownWrites: [] } };
  }
  if (await isNtfsDirty(source, signal)) return { freeRanges: [], left: UNCLEAN };
  // ntfs-3g empties the journal, and moves nothing.
  return { freeRanges: [], left, driver: { kind, ownWrites: [{ offset: 0, length: source.size }] } };
}

/** The superblock and the journal (XFS Algorithms and Data Structures, chapter 13.1); replaying it would write elsewhere too. */
async function xfsWrites(source: ByteSource, signal: AbortSignal | undefined): Promise<Range[]> {
  const block = asBuffer(await source.read(0, 512, signal));
  const blockSize = block.readUInt32BE(4);
  const logStart = readU64BE(block, 48);
  const perGroup = block.readUInt32BE(84);
  const groupSize = 2 ** block.readUInt8(124);
  const log = Math.floor(logStart / groupSize) * perGroup + (logStart % groupSize);
  const length = block.readUInt32BE(96) * blockSize;
  return [
    { offset: 0, length: 4096 },
    { offset: log * blockSize, length },
  ].filter((range) => range.offset + range.length <= source.size);
}

/** Whether the superblock names a log tree (btrfs documentation, "On-disk format"): files were flushed and not yet committed. */
async function hasBtrfsLog(source: ByteSource, signal: AbortSignal | undefined): Promise<boolean> {
  const block = asBuffer(await source.read(65536, 1024, signal));
  return readU64(block, 0x60) !== 0;
}
