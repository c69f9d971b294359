import { type ExtInode, INODE_FLAG } from './inode.js';
import { type ExtVolume, corrupt, readBlock } from './volume.js';

/** Consecutive blocks of a file that are consecutive on the disk. What no run covers is a hole and reads as zeros. */
export interface BlockRun {
  /** Number of the first block within the file. */
  readonly logical: number;
  readonly physical: number;
  readonly length: number;
}

/** First block within a file, and how many. */
export interface BlockRange {
  readonly first: number;
  readonly count: number;
}

/** A hostile map can point to itself; no honest file needs more map blocks than this for the sizes read here. */
const MAX_MAP_BLOCKS = 65536;

/**
 * The runs of `inode` that overlap `range`, from its extent tree or its indirect blocks.
 *
 * @throws TSB_FILESYSTEM when the map is damaged
 */
export async function* blockRuns(
  volume: ExtVolume,
  inode: ExtInode,
  range: BlockRange,
): AsyncGenerator<BlockRun> {
  const budget = { left: MAX_MAP_BLOCKS };
  const walk = { volume, inode, range, budget };
  if (inode.flags & INODE_FLAG.extents) yield* extentRuns(walk, inode.map, 5);
  else yield* indirectRuns(walk);
}

interface Walk {
  readonly volume: ExtVolume;
  readonly inode: ExtInode;
  readonly range: BlockRange;
  readonly budget: { left: number };
}

async function readMapBlock(walk: Walk, block: number): Promise<Buffer> {
  walk.budget.left -= 1;
  if (walk.budget.left < 0) throw corrupt(walk.volume, `endless block map of inode ${walk.inode.ino}`);
  return readBlock(walk.volume, block);
}

const inRange = (range: BlockRange, first: number, end: number): boolean =>
  first < range.first + range.count && end > range.first;

async function* extentRuns(walk: Walk, node: Buffer, maxDepth: number): AsyncGenerator<BlockRun> {
  const count = node.readUInt16LE(2);
  const depth = node.readUInt16LE(6);
  if (node.readUInt16LE(0) !== 0xf30a || depth > maxDepth || 12 + count * 12 > node.length) {
    throw corrupt(walk.volume, `extent tree of inode ${walk.inode.ino}`);
  }
  for (let index = 0; index < count; index++) {
    const entry = node.subarray(12 + index * 12, 24 + index * 12);
    const logical = entry.readUInt32LE(0);
    if (depth === 0) {
      const run = leafRun(entry, logical);
      if (run && inRange(walk.range, run.logical, run.logical + run.length)) yield run;
      continue;
    }
    const next = index + 1 < count ? node.readUInt32LE(24 + index * 12) : Infinity;
    if (!inRange(walk.range, logical, next)) continue;
    const child = await readMapBlock(walk, entry.readUInt32LE(4) + entry.readUInt16LE(8) * 2 ** 32);
    yield* extentRuns(walk, child, depth - 1);
  }
}

/** An extent's run; undefined for one that is allocated but not written (length above 32768): it reads as zeros. */
function leafRun(entry: Buffer, logical: number): BlockRun | undefined {
  const length = entry.readUInt16LE(4);
  if (length === 0 || length > 32768) return undefined;
  return { logical, physical: entry.readUInt32LE(8) + entry.readUInt16LE(6) * 2 ** 32, length };
}

async function* indirectRuns(walk: Walk): AsyncGenerator<BlockRun> {
  const perBlock = walk.volume.super.blockSize / 4;
  for (let index = 0; index < 12; index++) {
    const physical = walk.inode.map.readUInt32LE(index * 4);
    if (physical !== 0 && inRange(walk.range, index, index + 1))
      yield { logical: index, physical, length: 1 };
  }
  let logical = 12;
  for (let level = 1; level <= 3; level++) {
    const block = walk.inode.map.readUInt32LE(44 + level * 4);
    yield* indirectTree(walk, { block, level, logical });
    logical += perBlock ** level;
  }
}

async function* indirectTree(
  walk: Walk,
  node: { block: number; level: number; logical: number },
): AsyncGenerator<BlockRun> {
  const perBlock = walk.volume.super.blockSize / 4;
  const { block, level, logical } = node;
  if (block === 0 || !inRange(walk.range, logical, logical + perBlock ** level)) return;
  const map = await readMapBlock(walk, block);
  const span = perBlock ** (level - 1);
  const from = Math.max(0, Math.floor((walk.range.first - logical) / span));
  for (let index = from; index < perBlock; index++) {
    const first = logical + index * span;
    if (!inRange(walk.range, first, first + span)) break;
    const child = map.readUInt32LE(index * 4);
    if (level > 1) yield* indirectTree(walk, { block: child, level: level - 1, logical: first });
    else if (child !== 0) yield { logical: first, physical: child, length: 1 };
  }
}
