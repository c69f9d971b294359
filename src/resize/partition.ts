import type { Range } from '../probe/range.js';

export { type Range, endOf } from '../probe/range.js';

/** One partition. Its number is the one that Linux gives it (`/dev/sda5` is 5). */
export interface Partition extends Range {
  readonly number: number;
  /** `extended` is the container of the logical partitions, not a place for content. */
  readonly role: 'primary' | 'extended' | 'logical';
  /** GPT: the type GUID, upper case. MBR: `0x83`. */
  readonly type: string;
  /** GPT only. */
  readonly name?: string | undefined;
  /** GPT only: the partition's own GUID, upper case. */
  readonly guid?: string | undefined;
}

interface TableBase {
  /** 512 or 4096. */
  readonly sectorSize: number;
  /** In the order of their numbers. */
  readonly partitions: readonly Partition[];
  /** What is unusual about the table, one sentence each. */
  readonly notes: readonly string[];
  /** The 512 bytes of the (protective) master boot record. */
  readonly mbr: Buffer;
  /** Where the table's parts lie: bytes that a new table replaces. */
  readonly occupied: readonly Range[];
}

/** A GUID partition table as it was read; the raw parts are kept so that what is not understood is preserved. */
export interface GptTable extends TableBase {
  readonly kind: 'gpt';
  readonly diskGuid: string;
  /** One sector: the header with what follows it. */
  readonly header: Buffer;
  readonly entries: Buffer;
  readonly entrySize: number;
  /** First sector of the primary entry array. */
  readonly entriesLba: number;
  /** First sector that a partition may have. */
  readonly firstUsableLba: number;
  /** Whether the primary table was damaged and all this comes from the backup. */
  readonly fromBackup: boolean;
}

/** One extended boot record of the chain. */
export interface Ebr {
  readonly offset: number;
  readonly sector: Buffer;
  /** Number of its logical partition; undefined for a link without one. */
  readonly number: number | undefined;
  /** Byte offset of the next record. */
  readonly next: number | undefined;
}

/** A DOS partition table with its extended boot records. */
export interface MbrTable extends TableBase {
  readonly kind: 'mbr';
  readonly ebrs: readonly Ebr[];
}

export type PartitionTable = GptTable | MbrTable;
