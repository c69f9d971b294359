import { TsbuilderError } from '../../errors.js';

/** Where the parts of a FAT filesystem are: bytes from its first. */
export interface FatLayout {
  readonly bits: 12 | 16 | 32;
  /** Bytes that one table has for entries. */
  readonly tableSize: number;
  /** Offsets of the tables that must agree, the one that counts first. */
  readonly tables: readonly number[];
  /** Where cluster 2 is. */
  readonly dataStart: number;
  readonly clusterSize: number;
  readonly clusters: number;
  /** First cluster of the root folder; 0 when it has its own place (FAT12, FAT16). */
  readonly rootCluster: number;
  /** Linux marks a filesystem here while it is mounted. */
  readonly dirty: boolean;
}

/** An error about a FAT filesystem. */
export function fatError(name: string, what: string): TsbuilderError {
  return new TsbuilderError('TSB_FILESYSTEM', `${name}: FAT filesystem: ${what}`, {
    hint: 'Check it with fsck.fat.',
  });
}

/**
 * The layout that the boot sector `boot` (512 bytes) of a FAT filesystem in `size` bytes gives (Microsoft, FAT32 File System
 * Specification 1.03). As in Linux it is FAT32 when the 16-bit size of the table is 0, else the clusters decide.
 *
 * @throws TSB_FILESYSTEM when its numbers contradict each other or do not fit into `size`
 */
export function fatLayout(boot: Buffer, { name, size }: { name: string; size: number }): FatLayout {
  const sector = boot.readUInt16LE(11);
  const perCluster = boot.readUInt8(13);
  const reserved = boot.readUInt16LE(14);
  const copies = boot.readUInt8(16);
  const rootEntries = boot.readUInt16LE(17);
  const total = boot.readUInt16LE(19) || boot.readUInt32LE(32);
  const is32 = boot.readUInt16LE(22) === 0;
  const perTable = is32 ? boot.readUInt32LE(36) : boot.readUInt16LE(22);
  const sound =
    [512, 1024, 2048, 4096].includes(sector) &&
    perCluster > 0 &&
    (perCluster & (perCluster - 1)) === 0 &&
    reserved > 0 &&
    (copies === 1 || copies === 2) &&
    is32 === (rootEntries === 0) &&
    (!is32 || boot.readUInt16LE(42) === 0);
  if (!sound) throw fatError(name, 'its boot sector makes no sense');
  const first = reserved + copies * perTable + Math.ceil((rootEntries * 32) / sector);
  const clusters = Math.floor((total - first) / perCluster);
  const bits = is32 ? 32 : clusters < 4085 ? 12 : 16;
  if (total * sector > size || clusters < 1 || ((clusters + 2) * bits) / 8 > perTable * sector)
    throw fatError(name, `${clusters} clusters in ${total} sectors of ${sector} bytes do not fit`);
  const mirrored = !is32 || (boot.readUInt16LE(40) & 0x80) === 0;
  const active = mirrored ? 0 : boot.readUInt16LE(40) & 15;
  if (active >= copies) throw fatError(name, `its table ${active} does not exist`);
  const numbers = mirrored ? [0, 1].slice(0, copies) : [active];
  return {
    bits,
    tableSize: Math.ceil(((clusters + 2) * bits) / 8),
    tables: numbers.map((number) => (reserved + number * perTable) * sector),
    dataStart: first * sector,
    clusterSize: perCluster * sector,
    clusters,
    rootCluster: is32 ? boot.readUInt32LE(44) : 0,
    dirty: (boot.readUInt8(is32 ? 65 : 37) & 1) !== 0,
  };
}
