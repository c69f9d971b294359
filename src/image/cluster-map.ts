const PAGE_ENTRIES = 8192;

/** Entries of a qcow2 image's L2 tables, ready to be written. Memory is used only near entries that were set. */
export interface ClusterMap {
  get(cluster: number): bigint;
  set(cluster: number, entry: bigint): void;
  /** `cluster`, or the first one behind it that an entry may have been set for; it may stop short of that. */
  nextPossible(cluster: number): number;
  /** The tables of `entriesPerTable` entries that have one that is not 0, in ascending order. */
  tables(entriesPerTable: number): Iterable<{ index: number; table: Buffer }>;
}

/** An empty map. It holds 64 KiB for each 8192 clusters (512 MiB of disk in 64 KiB clusters) where something is. */
export function createClusterMap(): ClusterMap {
  const pages = new Map<number, Buffer>();
  return {
    get(cluster) {
      const page = pages.get(Math.floor(cluster / PAGE_ENTRIES));
      return page?.readBigUInt64BE((cluster % PAGE_ENTRIES) * 8) ?? 0n;
    },
    set(cluster, entry) {
      const index = Math.floor(cluster / PAGE_ENTRIES);
      let page = pages.get(index);
      if (!page) pages.set(index, (page = Buffer.alloc(PAGE_ENTRIES * 8)));
      page.writeBigUInt64BE(entry, (cluster % PAGE_ENTRIES) * 8);
    },
    nextPossible(cluster) {
      const index = Math.floor(cluster / PAGE_ENTRIES);
      return pages.has(index) ? cluster : (index + 1) * PAGE_ENTRIES;
    },
    *tables(entriesPerTable) {
      const perPage = PAGE_ENTRIES / entriesPerTable;
      const used = [...pages.keys()].sort((one, other) => one - other);
      const indexes =
        perPage >= 1 ? spread(used, perPage) : new Set(used.map((page) => Math.floor(page * perPage)));
      for (const index of indexes) {
        const table = perPage >= 1 ? slice(pages, index, perPage) : join(pages, index, 1 / perPage);
        if (table.some((byte) => byte !== 0)) yield { index, table };
      }
    },
  };
}

/** Table indexes of pages that hold several tables each. */
function* spread(pages: readonly number[], perPage: number): Iterable<number> {
  for (const page of pages) for (let table = 0; table < perPage; table += 1) yield page * perPage + table;
}

function slice(pages: ReadonlyMap<number, Buffer>, index: number, perPage: number): Buffer {
  const length = (PAGE_ENTRIES * 8) / perPage;
  const start = (index % perPage) * length;
  return pages.get(Math.floor(index / perPage))?.subarray(start, start + length) ?? Buffer.alloc(length);
}

function join(pages: ReadonlyMap<number, Buffer>, index: number, perTable: number): Buffer {
  const parts = Array.from({ length: perTable }, (_, part) => pages.get(index * perTable + part));
  return Buffer.concat(parts.map((page) => page ?? Buffer.alloc(PAGE_ENTRIES * 8)));
}
