import { TsbuilderError } from '../errors.js';
import { isGzip } from '../gzip/gzip-header.js';
import { foreignFormat } from '../image/foreign-format.js';
import { type Qcow2Info, readQcow2Info } from '../image/qcow2-info.js';
import { countQcow2Clusters } from '../image/qcow2-source.js';
import type { ByteSource } from '../io/byte-source.js';
import { type XzBlockHeader, readBlockHeader } from '../xz/block-header.js';
import { type XzBlock, type XzIndex, checkName, readXzIndex } from '../xz/xz-index.js';
import { type DescribedDisk, describeDisk } from './describe-disk.js';
import { isZstd } from '../zstd/frame-header.js';
import { openDiskContent } from './disk-content.js';
import { countZeroBlocks } from './xz-zeros.js';

/** What an image is and what is in it. Sizes and offsets in bytes. */
export interface DescribedImage {
  readonly name: string;
  readonly format: 'xz' | 'qcow2' | 'raw';
  /** Of the file. */
  readonly size: number;
  readonly virtualSize: number;
  /** Bytes of the disk that are known to be zero without reading them all; there may be more. */
  readonly zeroBytes: number;
  readonly xz?: DescribedXz | undefined;
  readonly qcow2?: DescribedQcow2 | undefined;
  /** Absent when the content is no disk that can be read, `problem` says why. */
  readonly disk?: DescribedDisk | undefined;
  readonly problem?: string | undefined;
}

export interface DescribedXz {
  readonly streams: number;
  readonly blocks: number;
  readonly checks: readonly string[];
  readonly largestBlock: number;
  /** Bytes of memory for one decoder, from the first block's dictionary. */
  readonly dictionarySize: number | undefined;
  readonly filters: readonly string[];
  /** Whether the first block's header carries both sizes; `xz -T` decodes in parallel only then. */
  readonly sizesInHeaders: boolean;
  /** Every block, when asked for. */
  readonly blockList?: readonly DescribedBlock[] | undefined;
}

export interface DescribedBlock extends XzBlock {
  readonly check: string;
  readonly filters: readonly string[];
  readonly sizesInHeader: boolean;
}

export interface DescribedQcow2 extends Pick<
  Qcow2Info,
  'version' | 'clusterSize' | 'compression' | 'backingFile' | 'dirty' | 'corrupt'
> {
  readonly plainClusters: number;
  readonly packedClusters: number;
}

/**
 * Describes the image in `source` from few and small reads: nothing is downloaded or decoded as a whole.
 *
 * @throws TSB_USAGE when it is compressed in another way or a disk for another program; TSB_XZ_CORRUPT, TSB_XZ_LIMIT, TSB_IMAGE_INVALID when
 *   the container itself is damaged
 */
export async function describeImage(
  source: ByteSource,
  options: { blocks: boolean; path?: string | undefined; signal?: AbortSignal | undefined },
): Promise<DescribedImage> {
  const { signal } = options;
  await assertDescribed(source, signal);
  await using content = await openDiskContent(source, options);
  const { container: format, size: virtualSize } = content;
  const base = { name: source.name, format, size: source.size, virtualSize };
  const layout = await describeSafely(content.disk, signal);
  if (format === 'qcow2') {
    return {
      ...base,
      zeroBytes: virtualSize - content.streamedBytes,
      qcow2: await describeQcow2(source, signal),
      ...layout,
    };
  }
  if (format === 'raw') return { ...base, zeroBytes: virtualSize - content.streamedBytes, ...layout };
  const index = await readXzIndex(source, { signal });
  const xz = await describeXz(source, index, options);
  return { ...base, zeroBytes: await countZeroBlocks(source, index, signal), xz, ...layout };
}

/** As many bytes as the signatures need. */
const HEAD = 512;

async function assertDescribed(source: ByteSource, signal: AbortSignal | undefined): Promise<void> {
  const head = await source.read(0, Math.min(HEAD, source.size), signal);
  const foreign = foreignFormat(head);
  if (foreign) {
    throw new TsbuilderError('TSB_USAGE', `${source.name}: is ${foreign.format}, which is not read`, {
      hint: `Make a disk of it first, with ${foreign.remedy}.`,
    });
  }
  const format = isGzip(head) ? 'gzip' : isZstd(head) ? 'zstd' : undefined;
  if (format === undefined) return;
  throw new TsbuilderError('TSB_USAGE', `${source.name}: is ${format}, of which there is nothing to tell`, {
    hint: `tsbuilder inspect ${source.name} tells what is on the disk in it.`,
  });
}

/** The layout, or why there is none: a damaged partition table must not hide what else there is to say. */
async function describeSafely(
  disk: ByteSource,
  signal: AbortSignal | undefined,
): Promise<Pick<DescribedImage, 'disk' | 'problem'>> {
  try {
    return { disk: await describeDisk(disk, signal) };
  } catch (error) {
    if (!(error instanceof TsbuilderError) || error.code !== 'TSB_PARTITION_TABLE') throw error;
    return { problem: error.message };
  }
}

async function describeQcow2(source: ByteSource, signal: AbortSignal | undefined): Promise<DescribedQcow2> {
  const { version, clusterSize, compression, backingFile, dirty, corrupt } = await readQcow2Info(
    source,
    signal,
  );
  const { plainClusters, packedClusters } = await countQcow2Clusters(source, signal);
  return { version, clusterSize, compression, backingFile, dirty, corrupt, plainClusters, packedClusters };
}

async function describeXz(
  source: ByteSource,
  index: XzIndex,
  options: { blocks: boolean; signal?: AbortSignal | undefined },
): Promise<DescribedXz> {
  const { signal } = options;
  let largestBlock = 0;
  for (const { uncompressedSize } of index.blocks()) largestBlock = Math.max(largestBlock, uncompressedSize);
  const first = index.blockCount > 0 ? await readBlockHeader(source, index.block(0), signal) : undefined;
  return {
    streams: index.streams.length,
    blocks: index.blockCount,
    checks: [...new Set(index.streams.map(({ check }) => checkName(check)))],
    largestBlock,
    dictionarySize: first?.dictionarySize,
    filters: first?.filters.map(({ name }) => name) ?? [],
    sizesInHeaders: first !== undefined && hasSizes(first),
    ...(options.blocks && { blockList: await describeBlocks(source, index, signal) }),
  };
}

async function describeBlocks(
  source: ByteSource,
  index: XzIndex,
  signal: AbortSignal | undefined,
): Promise<DescribedBlock[]> {
  const list: DescribedBlock[] = [];
  for (const block of index.blocks()) {
    const header = await readBlockHeader(source, block, signal);
    const check = checkName(index.streams[block.stream]?.check ?? 0);
    list.push({
      ...block,
      check,
      filters: header.filters.map(({ name }) => name),
      sizesInHeader: hasSizes(header),
    });
  }
  return list;
}

function hasSizes(header: XzBlockHeader): boolean {
  return header.compressedSize !== undefined && header.uncompressedSize !== undefined;
}
