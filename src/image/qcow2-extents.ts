import type { DiskExtent } from '../io/disk-source.js';
import type { Qcow2Info } from './qcow2-info.js';
import type { Qcow2Lookup } from './qcow2-lookup.js';

/** One answer looks into so many tables at most: 8 GiB of disk in 64 KiB clusters. */
const MAX_TABLES = 16;

/**
 * What the tables of an image say about a range of its disk: extents in order from its start, which stop before its end where
 * too many tables would have to be read. Clusters that read as zeros are holes.
 *
 * @throws TSB_IMAGE_INVALID when the tables point outside the file
 */
export async function qcow2Extents(
  { lookup, info }: { readonly lookup: Qcow2Lookup; readonly info: Qcow2Info },
  range: { readonly offset: number; readonly length: number },
  signal?: AbortSignal,
): Promise<DiskExtent[]> {
  const { clusterSize } = info;
  const end = range.offset + range.length;
  const extents: DiskExtent[] = [];
  const tables = new Set<number>();
  const add = (offset: number, next: number, kind: DiskExtent['kind']): void => {
    const last = extents.at(-1);
    if (last?.kind === kind) extents[extents.length - 1] = { ...last, length: next - last.offset };
    else extents.push({ offset, length: next - offset, kind });
  };
  for (let at = range.offset; at < end;) {
    const cluster = Math.floor(at / clusterSize);
    const table = Math.floor(cluster / lookup.tableClusters);
    const isThere = lookup.hasTable(table);
    if (isThere && tables.add(table).size > MAX_TABLES) break;
    const clusters = isThere ? cluster + 1 : (table + 1) * lookup.tableClusters;
    const next = Math.min(end, clusters * clusterSize);
    add(at, next, (await lookup.find(cluster, signal)).kind === 'none' ? 'hole' : 'data');
    at = next;
  }
  return extents.length > 0 ? extents : [{ ...range, kind: 'data' }];
}
