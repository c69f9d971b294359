import { type Range, endOf } from '../../probe/range.js';
import type { BlockSpan } from './block-bitmap.js';
import { crc32c } from './checksum.js';
import { type BlockGroup, type ExtChecksums, checksumsOf, readGroups } from './group-descriptors.js';
import { groupStart, structuresByGroup } from './group-structures.js';
import { type ExtVolume, INCOMPAT, corrupt, readBlock, readBlocks } from './volume.js';

const KNOWN_RO_COMPAT =
  0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000 | 0x10000;
const MMP_CLEAN = 0xff4d4d50;
/** Bitmaps read at once, where they follow each other. */
const MAX_RUN = 32;

/**
 * The bytes of an ext2/3/4 filesystem that neither a file nor the filesystem itself uses, ascending, from its first byte. They
 * come from the block bitmaps; those of groups that were never used are computed. Everything that can be checked without
 * walking through the files is: all checksums, the count of free blocks of each group, and that the filesystem's own blocks are marked.
 *
 * @throws TSB_FILESYSTEM when the filesystem is damaged, in use, was not unmounted cleanly, or has features that are not known
 */
export async function readFreeRanges(volume: ExtVolume): Promise<Range[]> {
  const raw = Buffer.from(await volume.source.read(1024, 1024, volume.signal));
  await assertResting(volume, raw);
  assertClusters(volume, raw);
  const checksums = checksumsOf(volume, raw);
  const groups = await readGroups(volume, checksums);
  const structures = structuresByGroup(volume, groups, raw.readUInt16LE(206));
  const free: Range[] = [];
  for (const run of runsOf(groups)) {
    volume.signal?.throwIfAborted();
    const bitmaps = await bitmapsOf(volume, run);
    for (const [index, group] of run.entries()) {
      const work = { group, checksums, structures: structures.get(group.number) ?? [] };
      addFree(volume, free, { group, bits: bitsOf(volume, bitmaps?.[index], work) });
    }
  }
  return free;
}

async function assertResting(volume: ExtVolume, raw: Buffer): Promise<void> {
  const { needsRecovery, clean, roCompat, incompat } = volume.super;
  if (needsRecovery) throw corrupt(volume, 'its journal needs recovery');
  if ((raw.readUInt16LE(58) & 2) !== 0) throw corrupt(volume, 'errors were found while it was in use');
  if (!clean) throw corrupt(volume, 'it was not unmounted cleanly');
  const unknown = roCompat & ~KNOWN_RO_COMPAT;
  if (unknown !== 0) throw corrupt(volume, `unknown features 0x${(unknown >>> 0).toString(16)}`);
  if ((incompat & INCOMPAT.multipleMountProtection) === 0) return;
  const mmp = await readBlock(volume, Number(raw.readBigUInt64LE(360)));
  if (mmp.readUInt32LE(4) !== MMP_CLEAN) throw corrupt(volume, 'it is in use (multiple mount protection)');
}

function assertClusters(volume: ExtVolume, raw: Buffer): void {
  const { blocksPerGroup, clusterBlocks, blockSize } = volume.super;
  const perGroup = blocksPerGroup / clusterBlocks;
  const sensible = Number.isInteger(perGroup) && perGroup % 8 === 0 && perGroup <= blockSize * 8;
  if (!sensible || raw.readUInt32LE(36) !== perGroup)
    throw corrupt(volume, `${raw.readUInt32LE(36)} clusters in groups of ${blocksPerGroup} blocks`);
}

/** The groups in pieces whose bitmaps can be read at once: they follow each other, or none of them has one. */
function* runsOf(groups: readonly BlockGroup[]): Iterable<BlockGroup[]> {
  let run: BlockGroup[] = [];
  for (const group of groups) {
    const last = run.at(-1);
    const follows =
      last !== undefined &&
      last.uninitialized === group.uninitialized &&
      (group.uninitialized || group.blockBitmap === last.blockBitmap + 1);
    if (run.length > 0 && (!follows || run.length >= MAX_RUN)) {
      yield run;
      run = [];
    }
    run.push(group);
  }
  if (run.length > 0) yield run;
}

async function bitmapsOf(volume: ExtVolume, run: readonly BlockGroup[]): Promise<Buffer[] | undefined> {
  const [first] = run;
  if (!first || first.uninitialized) return undefined;
  const { blockSize } = volume.super;
  const data = await readBlocks(volume, first.blockBitmap, run.length);
  return run.map((_, index) => data.subarray(index * blockSize, (index + 1) * blockSize));
}

interface GroupWork {
  readonly group: BlockGroup;
  readonly checksums: ExtChecksums;
  /** What the filesystem itself has in this group. */
  readonly structures: readonly BlockSpan[];
}

/** The group's bitmap, checked; made where it was never written. One bit is a cluster, 1 is used. */
function bitsOf(volume: ExtVolume, bitmap: Buffer | undefined, work: GroupWork): Buffer {
  const { group, structures } = work;
  const { blocksPerGroup, clusterBlocks } = volume.super;
  const bits = bitmap ?? Buffer.alloc(blocksPerGroup / clusterBlocks / 8);
  if (bitmap) assertBitmapChecksum(volume, bitmap, work);
  const start = groupStart(volume, group.number);
  for (const { physical, length } of structures) {
    const last = Math.floor((physical + length - 1 - start) / clusterBlocks);
    for (let bit = Math.floor((physical - start) / clusterBlocks); bit <= last; bit += 1) {
      const value = bits[bit >> 3] ?? 0;
      if (bitmap && ((value >> (bit & 7)) & 1) === 0)
        throw corrupt(
          volume,
          `the bitmap of group ${group.number} says that the filesystem's own blocks are free`,
        );
      bits[bit >> 3] = value | (1 << (bit & 7));
    }
  }
  return bits;
}

function assertBitmapChecksum(volume: ExtVolume, bitmap: Buffer, { group, checksums }: GroupWork): void {
  if (checksums.kind !== 'crc32c') return;
  const { blocksPerGroup, clusterBlocks } = volume.super;
  const value = crc32c(checksums.seed, bitmap.subarray(0, blocksPerGroup / clusterBlocks / 8));
  const known = group.bitmapChecksumBits === 32 ? value : value & 0xffff;
  if (known !== group.bitmapChecksum)
    throw corrupt(volume, `wrong checksum of the block bitmap of group ${group.number}`);
}

/** Adds the free bytes of a group, whose number of free clusters must be the one that its descriptor has. */
function addFree(
  volume: ExtVolume,
  free: Range[],
  { group, bits }: { group: BlockGroup; bits: Buffer },
): void {
  const { blocksPerGroup, clusterBlocks, blockCount, blockSize } = volume.super;
  const start = groupStart(volume, group.number);
  const blocks = Math.min(blocksPerGroup, blockCount - start);
  let clusters = 0;
  for (const run of clearRuns(bits, Math.ceil(blocks / clusterBlocks))) {
    clusters += run.length;
    const from = start + run.first * clusterBlocks;
    const to = Math.min(from + run.length * clusterBlocks, start + blocks);
    append(free, { offset: from * blockSize, length: (to - from) * blockSize });
  }
  if (clusters === group.freeClusters) return;
  const said = `${group.freeClusters} of them are free, by its bitmap ${clusters}`;
  throw corrupt(volume, `by the descriptor of group ${group.number} ${said}`);
}

/** The runs of zero bits among the first `count` of `bits`. */
function* clearRuns(bits: Buffer, count: number): Iterable<{ first: number; length: number }> {
  let first = 0;
  for (let at = 0; at < count;) {
    const byte = bits[at >> 3] ?? 0xff;
    const whole = (at & 7) === 0 && at + 8 <= count;
    if (whole && byte === 0) at += 8;
    else if (((byte >> (at & 7)) & 1) === 0) at += 1;
    else {
      if (at > first) yield { first, length: at - first };
      at += whole && byte === 0xff ? 8 : 1;
      first = at;
    }
  }
  if (count > first) yield { first, length: count - first };
}

function append(free: Range[], range: Range): void {
  const last = free.at(-1);
  if (last && endOf(last) === range.offset)
    free[free.length - 1] = { offset: last.offset, length: last.length + range.length };
  else free.push(range);
}
