import type { DescribedPartition } from '../build/describe-disk.js';
import type { DescribedImage, DescribedQcow2, DescribedXz } from '../build/describe-image.js';
import { formatSize } from '../io/format-size.js';
import { printable } from '../io/printable.js';
import { formatTable } from './table.js';

/** What `tsbuilder info` prints. Texts from the image are escaped for the terminal. */
export function formatImage(image: DescribedImage): string {
  const lines = [
    ['File', printable(image.name)],
    ['Format', image.format],
    ['File size', exact(image.size)],
    ['Virtual size', exact(image.virtualSize)],
    ['Known zero', `${formatSize(image.zeroBytes)} (${percent(image.zeroBytes, image.virtualSize)})`],
    ...(image.xz ? xzLines(image.xz, image) : []),
    ...(image.qcow2 ? qcow2Lines(image.qcow2) : []),
  ];
  const parts = [formatTable(lines.map(([label = '', value = '']) => [`${label}:`, value])).join('\n')];
  if (image.disk) parts.push(formatLayout(image.disk.table, image.disk.partitions));
  if (image.problem !== undefined) parts.push(`Partitions cannot be read: ${printable(image.problem)}`);
  if (image.xz?.blockList) parts.push(formatBlocks(image.xz.blockList));
  return parts.join('\n\n');
}

function xzLines(xz: DescribedXz, image: DescribedImage): string[][] {
  const lines = [
    ['Ratio', image.virtualSize === 0 ? '-' : (image.size / image.virtualSize).toFixed(3)],
    ['Streams', String(xz.streams)],
    ['Blocks', `${xz.blocks}, the largest ${formatSize(xz.largestBlock)}`],
    ['Check', xz.checks.join(', ')],
    ['Filters', xz.filters.join(', ')],
    ['Sizes in headers', xz.sizesInHeaders ? 'yes' : 'no'],
  ];
  if (xz.dictionarySize !== undefined) lines.push(['Dictionary', formatSize(xz.dictionarySize)]);
  return lines;
}

function qcow2Lines(qcow2: DescribedQcow2): string[][] {
  const lines = [
    ['qcow2 version', String(qcow2.version)],
    ['Cluster size', formatSize(qcow2.clusterSize)],
    ['Clusters in use', `${qcow2.plainClusters + qcow2.packedClusters} (${qcow2.packedClusters} compressed)`],
    ['Compression', qcow2.compression],
  ];
  if (qcow2.backingFile !== undefined) lines.push(['Backing file', printable(qcow2.backingFile)]);
  if (qcow2.dirty || qcow2.corrupt) lines.push(['State', qcow2.corrupt ? 'corrupt' : 'not closed cleanly']);
  return lines;
}

function formatLayout(table: string, partitions: readonly DescribedPartition[]): string {
  if (partitions.length === 0)
    return table === 'none' ? 'No partition table and no known filesystem.' : 'No partitions.';
  const rows = partitions.map(({ number, offset, length, name, content }) => [
    number === 0 ? 'disk' : String(number),
    formatSize(offset),
    formatSize(length),
    content.name,
    content.freeBytes === undefined ? '' : formatSize(content.freeBytes),
    printable(content.label ?? name ?? ''),
    printable(content.uuid ?? ''),
  ]);
  const heading = ['Partition', 'Start', 'Size', 'Content', 'Free', 'Label', 'UUID'];
  const title = table === 'none' ? 'No partition table' : `Partition table: ${table}`;
  return [title, ...formatTable([heading, ...rows], [1, 2, 4])].join('\n');
}

function formatBlocks(blocks: NonNullable<DescribedXz['blockList']>): string {
  const heading = [
    'Stream',
    'Block',
    'CompOffset',
    'UncompOffset',
    'TotalSize',
    'UncompSize',
    'Ratio',
    'Check',
    'Sizes',
    'Filters',
  ];
  const rows = blocks.map((block) => [
    String(block.stream + 1),
    String(block.number + 1),
    String(block.compressedOffset),
    String(block.uncompressedOffset),
    String(block.totalSize),
    String(block.uncompressedSize),
    (block.totalSize / Math.max(1, block.uncompressedSize)).toFixed(3),
    block.check,
    block.sizesInHeader ? 'yes' : 'no',
    block.filters.join(','),
  ]);
  return formatTable([heading, ...rows], [0, 1, 2, 3, 4, 5, 6]).join('\n');
}

function exact(bytes: number): string {
  return `${formatSize(bytes)} (${bytes} bytes)`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((100 * part) / whole).toFixed(1)} %`;
}
