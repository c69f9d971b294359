import { TsbuilderError } from '../errors.js';
import type { PartitionTable } from './partition.js';
import type { Literal, Relocation } from './relocation.js';
import { endOf } from './partition.js';
import { backupStart, writeGpt } from './write-gpt.js';
import { writeMbr } from './write-mbr.js';

/** What a partition table calls the disk and its partitions. */
export interface TableIds {
  /** GPT: the disk's GUID, upper case. MBR: the signature, eight lower-case hex digits. Undefined: it has none. */
  readonly disk: string | undefined;
  /** GPT only: the partitions' own GUIDs, upper case, by number. */
  readonly partitions: ReadonlyMap<number, string>;
}

const SIGNATURE = 440;
const HEADER_GUID = 56;
const ENTRY_GUID = 16;

/** The ids in a partition table. An MBR's signature of zero is none. */
export function tableIds(table: PartitionTable): TableIds {
  if (table.kind === 'gpt') {
    const guids = table.partitions.flatMap(({ number, guid }) =>
      guid === undefined ? [] : [[number, guid] as const],
    );
    return { disk: table.diskGuid, partitions: new Map(guids) };
  }
  const signature = table.mbr.readUInt32LE(SIGNATURE);
  return {
    disk: signature === 0 ? undefined : signature.toString(16).padStart(8, '0'),
    partitions: new Map(),
  };
}

/**
 * The parts of `table` with other ids (UEFI specification 2.10, 5.3.2 and 5.3.3; the signature of an MBR: 5.2.1), everything else as it
 * was. Partitions that `ids` does not name keep theirs.
 *
 * @param size of the disk in bytes: the backup GPT is written at its end
 * @throws TSB_PARTITION_TABLE when a partition lies where the backup GPT belongs
 */
export function withNewIds(
  disk: { readonly name: string; readonly size: number },
  table: PartitionTable,
  ids: TableIds,
): Literal[] {
  const move: Relocation = { split: Infinity, delta: 0, targetSize: disk.size, usableEnd: disk.size };
  if (table.kind === 'mbr') {
    const mbr = Buffer.from(table.mbr);
    if (ids.disk !== undefined) mbr.writeUInt32LE(parseInt(ids.disk, 16), SIGNATURE);
    return writeMbr({ ...table, mbr }, move);
  }
  const end = Math.max(0, ...table.partitions.map(endOf));
  if (end > backupStart(table, disk.size)) {
    throw new TsbuilderError(
      'TSB_PARTITION_TABLE',
      `${disk.name}: a partition ends at byte ${end}, where the backup partition table belongs`,
    );
  }
  const header = Buffer.from(table.header);
  if (ids.disk !== undefined) guidBytes(ids.disk).copy(header, HEADER_GUID);
  const entries = Buffer.from(table.entries);
  for (const [number, guid] of ids.partitions)
    guidBytes(guid).copy(entries, (number - 1) * table.entrySize + ENTRY_GUID);
  return writeGpt(disk.name, { ...table, header, entries }, move);
}

/** A GUID in the mixed-endian form of UEFI (appendix A). */
function guidBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
