import { formatSize } from '../io/format-size.js';
import { printable } from '../io/printable.js';
import type { RegionUsage } from '../publish/disk-usage.js';
import type { DfResult } from '../publish/run-df.js';
import { formatTable } from './table.js';

/** What `tsbuilder df` prints: a line for each region and the total, then what could be saved. */
export function formatDf(result: DfResult, { bytes }: { readonly bytes: boolean }): string {
  const show = (size: number | undefined): string =>
    size === undefined ? '-' : bytes ? String(size) : formatSize(size);
  const packed = result.regions.some((region) => region.packed !== undefined);
  const rows = result.regions
    .filter(isWorthALine)
    .map((region) => [
      printable(region.name),
      region.content === 'none' ? '' : region.content,
      printable(region.label ?? ''),
      ...[region.size ?? region.length, region.used, region.free].map(show),
      share(region.used, region.size),
      ...[region.data, region.freeable].map(show),
      ...(packed ? [show(region.packed)] : []),
    ]);
  const { total, sparsify, packing } = result;
  const heading = ['Region', 'Content', 'Label', 'Size', 'Used', 'Free', 'Use%', 'Data', 'Freeable'];
  const sums = [
    ...['total', '', ''],
    ...[total.size, total.used, total.free].map(show),
    share(total.used, total.size),
    ...[total.data, sparsify.freeable].map(show),
  ];
  if (packed) {
    heading.push('Packed');
    sums.push(show(packing?.packed));
  }
  const left = result.regions
    .filter((region) => region.left !== undefined && isWorthALine(region))
    .map(({ name, free, left: reason }) => {
      const what = free === undefined ? 'free space' : 'places of its free space';
      return printable(`${name}: ${what} not known: ${reason ?? ''}`);
    });
  const more = sparsify.driven > 0 ? `, and what drivers find free in ${show(sparsify.driven)}` : '';
  const most = sparsify.exact ? '' : 'at most ';
  return [
    ...formatTable([heading, ...rows, sums], [3, 4, 5, 6, 7, 8, 9]),
    '',
    ...left,
    `sparsify frees ${most}${show(sparsify.freeable)} of ${show(total.data)} of data${more}`,
    ...packingLines(result, show),
    ...(result.map === undefined ? [] : [`picture: ${printable(result.map)}`]),
  ].join('\n');
}

function packingLines({ packing, sparsify, total }: DfResult, show: (size: number) => string): string[] {
  if (!packing) return [];
  const { packed, estimated, free = 0 } = packing;
  const less = sparsify.driven > 0 ? ' or less' : '';
  if (estimated) return [`pack would make about ${show(packed)}${less} of ${show(total.data)} (estimated)`];
  const saves = free > 0 ? `; about ${show(free)} of them for what nothing uses` : '';
  return [`packed in ${show(packed)}${saves}`];
}

/** Tables and edges are left out: nobody can do anything about them. */
function isWorthALine({ name, partition, freeable }: RegionUsage): boolean {
  return partition !== undefined || name === '/' || freeable > 0;
}

function share(used: number | undefined, size: number | undefined): string {
  return used === undefined || !size ? '-' : `${Math.ceil((100 * used) / size)}%`;
}
