import { descriptorPlace } from './inode.js';
import { type ExtVolume, corrupt, readBlock } from './volume.js';

/** Consecutive blocks of the disk. */
export interface BlockSpan {
  readonly physical: number;
  readonly length: number;
}

const BLOCK_UNINIT = 0x2;

/**
 * The parts of `spans` that no file and no structure of the filesystem uses (kernel documentation, "Block and inode
 * Bitmaps"; with `bigalloc` one bit stands for a cluster of blocks). A group whose bitmap is not written yet counts as used.
 *
 * @throws TSB_FILESYSTEM when a span or a bitmap is not inside the filesystem
 */
export async function freeSpans(volume: ExtVolume, spans: readonly BlockSpan[]): Promise<BlockSpan[]> {
  const bitmaps = new Map<number, Buffer | undefined>();
  const free: BlockSpan[] = [];
  for (const span of spans) {
    assertInside(volume, span);
    for (let block = span.physical; block < span.physical + span.length; block++) {
      const { group, bit } = bitOf(volume, block);
      if (!bitmaps.has(group)) bitmaps.set(group, await readBitmap(volume, group));
      if (isFree(bitmaps.get(group), bit)) append(free, block);
    }
  }
  return free;
}

function bitOf(volume: ExtVolume, block: number): { group: number; bit: number } {
  const { firstDataBlock, blocksPerGroup, clusterBlocks } = volume.super;
  const at = block - firstDataBlock;
  return {
    group: Math.floor(at / blocksPerGroup),
    bit: Math.floor((at % blocksPerGroup) / clusterBlocks),
  };
}

function isFree(bitmap: Buffer | undefined, bit: number): boolean {
  return (((bitmap?.[bit >> 3] ?? 0xff) >> (bit & 7)) & 1) === 0;
}

function append(spans: BlockSpan[], block: number): void {
  const last = spans.at(-1);
  if (last && last.physical + last.length === block) {
    spans[spans.length - 1] = { physical: last.physical, length: last.length + 1 };
  } else spans.push({ physical: block, length: 1 });
}

function assertInside(volume: ExtVolume, { physical, length }: BlockSpan): void {
  const { firstDataBlock, blockCount } = volume.super;
  if (physical < firstDataBlock || physical + length > blockCount)
    throw corrupt(volume, `file with blocks ${physical}..${physical + length - 1} of ${blockCount}`);
}

async function readBitmap(volume: ExtVolume, group: number): Promise<Buffer | undefined> {
  const { descriptorSize } = volume.super;
  const at = descriptorPlace(volume, group);
  const raw = Buffer.from(await volume.source.read(at, descriptorSize, volume.signal));
  if (raw.readUInt16LE(18) & BLOCK_UNINIT) return undefined;
  const high = descriptorSize >= 64 ? raw.readUInt32LE(32) * 2 ** 32 : 0;
  return readBlock(volume, raw.readUInt32LE(0) + high);
}
