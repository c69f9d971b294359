import type { BlockSpan } from './block-bitmap.js';
import type { BlockGroup } from './group-descriptors.js';
import { hasSuperCopy } from './inode.js';
import { type ExtVolume, INCOMPAT, corrupt } from './volume.js';

/** How the blocks of a filesystem are divided. */
export interface GroupShape {
  readonly groups: number;
  /** Blocks that reserved descriptors take behind each copy of the descriptors. */
  readonly reservedDescriptors: number;
}

/**
 * The blocks that the filesystem itself occupies, for each group those that lie in it: copies of the superblock and the descriptors,
 * bitmaps and inode tables, wherever (flex_bg) they were put.
 *
 * @throws TSB_FILESYSTEM when one of them is not inside the filesystem
 */
export function structuresByGroup(
  volume: ExtVolume,
  groups: readonly BlockGroup[],
  reservedDescriptors: number,
): Map<number, BlockSpan[]> {
  const { inodesPerGroup, inodeSize, blockSize } = volume.super;
  const tableBlocks = Math.ceil((inodesPerGroup * inodeSize) / blockSize);
  const found = new Map<number, BlockSpan[]>();
  const shape = { groups: groups.length, reservedDescriptors };
  for (const { number, blockBitmap, inodeBitmap, inodeTable } of groups) {
    add(volume, found, { physical: groupStart(volume, number), length: headLength(volume, number, shape) });
    add(volume, found, { physical: blockBitmap, length: 1 });
    add(volume, found, { physical: inodeBitmap, length: 1 });
    add(volume, found, { physical: inodeTable, length: tableBlocks });
  }
  return found;
}

/** First block of a group. */
export function groupStart({ super: s }: ExtVolume, group: number): number {
  return s.firstDataBlock + group * s.blocksPerGroup;
}

/** Blocks at the start of a group for the superblock's copy and descriptors (Linux, ext4_num_base_meta_clusters). */
function headLength(volume: ExtVolume, group: number, shape: GroupShape): number {
  const { blockSize, descriptorSize, firstMetaGroup, firstDataBlock, incompat } = volume.super;
  const perBlock = blockSize / descriptorSize;
  const copy = hasSuperCopy(volume, group) ? 1 : 0;
  const bootBlock = group === 0 && blockSize === 1024 && firstDataBlock === 0 ? 1 : 0;
  const metaGroup = Math.floor(group / perBlock);
  if ((incompat & INCOMPAT.metaBg) !== 0 && metaGroup >= firstMetaGroup) {
    const place = group % perBlock;
    return bootBlock + copy + (place === 0 || place === 1 || place === perBlock - 1 ? 1 : 0);
  }
  if (copy === 0) return 0;
  const blocks = Math.min(Math.ceil(shape.groups / perBlock), firstMetaGroup);
  return bootBlock + copy + blocks + shape.reservedDescriptors;
}

/** Adds a span to the groups that it lies in. */
function add(volume: ExtVolume, found: Map<number, BlockSpan[]>, span: BlockSpan): void {
  const { firstDataBlock, blockCount, blocksPerGroup } = volume.super;
  const end = span.physical + span.length;
  if (span.physical < firstDataBlock || end > blockCount)
    throw corrupt(volume, `its own structures in blocks ${span.physical}-${end - 1} of ${blockCount}`);
  for (let at = span.physical; at < end;) {
    const group = Math.floor((at - firstDataBlock) / blocksPerGroup);
    const stop = Math.min(end, groupStart(volume, group + 1));
    const list = found.get(group) ?? [];
    found.set(group, [...list, { physical: at, length: stop - at }]);
    at = stop;
  }
}
